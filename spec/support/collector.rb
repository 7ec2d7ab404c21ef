# frozen_string_literal: true

module Support
  # Ways for the garbage collector to find values that the extension keeps and does not tell it about.
  module Collector
    # What begins when a server does; see spec/support/collector/begin.rb.
    MODES = %w[stress young compact].freeze
    BEGIN_FILE = "#{ROOT}/spec/support/collector/begin.rb".freeze
    private_constant :BEGIN_FILE

    module_function

    # Variables of a Ruby process whose server is to be watched. Without gems, but Rack: each collection walks through
    # all objects, and theirs are most of them.
    def environment(mode)
      rack = Gem::Specification.find_all_by_name("rack").first(1).flat_map(&:full_require_paths)
      { "IODINE_COLLECTOR" => mode, "RUBYLIB" => rack.join(":"),
        "RUBYOPT" => [ENV.fetch("RUBYOPT", nil), "--disable=gems", "-r#{BEGIN_FILE}"].compact.join(" ") }
    end

    # Those of all processes of specs: IODINE_COLLECTOR says how.
    def for_all
      mode = ENV.fetch("IODINE_COLLECTOR", nil)
      return {} unless mode
      raise ArgumentError, "IODINE_COLLECTOR is one of #{MODES.join(", ")}" unless MODES.include?(mode)

      environment(mode)
    end
  end
end
