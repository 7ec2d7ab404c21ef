# frozen_string_literal: true

$LOAD_PATH.unshift File.expand_path("../lib", __dir__)

require "rspec"

Dir[File.expand_path("support/*.rb", __dir__)].sort.each { |file| require file }

RSpec.configure do |config|
  config.order = :random
  Kernel.srand config.seed

  config.expect_with(:rspec) do |expectations|
    expectations.include_chain_clauses_in_custom_matcher_descriptions = true
    expectations.max_formatted_output_length = 2000
  end
  config.mock_with(:rspec) { |mocks| mocks.verify_partial_doubles = true }

  config.extend Support::Serving
  config.include Support::Waiting

  # A spec that failed half-way must not leave a server behind.
  config.after(:suite) { Support::ChildProcess.kill_all }
end
