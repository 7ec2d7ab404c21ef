# frozen_string_literal: true

RSpec.describe "the Rack handler" do
  def ruby(source)
    process = Support::ChildProcess.run_ruby(source)
    [process.wait.exitstatus, process.out.text, process.log.text]
  end

  # Rack 2 has Rack::Handler itself; for Rack 3 it is Rackup's.
  rackup = Gem::Specification.find_all_by_name("rackup").any?
  library, handlers = rackup ? %w[rackup Rackup::Handler] : %w[rack Rack::Handler]

  {
    "is found by name alone" => "require '#{library}'",
    "is found when iodine is loaded first" => "require 'iodine'; require '#{library}'",
    "is found when iodine is loaded last" => "require '#{library}'; require 'iodine'",
    "is found when its own file is loaded first" => "require '#{library}/handler/iodine'; require '#{library}'"
  }.each do |behaviour, order|
    it behaviour do
      source = "#{order}; puts #{handlers}.get('iodine'), #{handlers}.get('Iodine')"
      expect(ruby(source)).to match [0, "Iodine::Rack\nIodine::Rack\n", ""]
    end
  end

  it "is found when the file of Rack 2 is loaded, without a warning of Rack 3" do
    expect(ruby("require 'rack/handler/iodine'; puts #{handlers}.get('iodine')")).to eq [0, "Iodine::Rack\n", ""]
  end

  it "is the default where iodine is loaded" do
    expect(ruby("require 'iodine'; puts ENV['RACK_HANDLER']").first(2)).to eq [0, "iodine\n"]
  end
end
