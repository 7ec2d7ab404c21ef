# frozen_string_literal: true

require_relative "workshop"

RSpec.describe "a bundle that takes iodine from a folder", :slow do
  # The gems come from the machine alone: --local asks no server.
  def bundle(requirement)
    folder = Dir.mktmpdir("iodine-bundle")
    File.write(File.join(folder, "Gemfile"), <<~RUBY)
      source "https://rubygems.org"
      gem "iodine"#{requirement}, path: #{Support::ROOT.dump}
      gem "rack"
    RUBY
    env = { **Workshop.gem_home(File.join(folder, "home")), "BUNDLE_SILENCE_ROOT_WARNING" => "true" }
    Workshop.run("bundle", "install", "--local", chdir: folder, env: env)
    Workshop.answer_of("bundle", "exec", "iodine", "-b", "127.0.0.1", "-p", "0",
                       File.join(Support::ROOT, "examples/hello.ru"), chdir: folder, env: env)
  ensure
    FileUtils.rm_rf(folder)
  end

  { "without a version" => "", "with the requirement of a 0.7 application" => ', "~> 0.7"' }.each do |name, requirement|
    it "serves from another folder, #{name}" do
      expect(bundle(requirement)).to have_attributes(code: "200", body: "Hello, world!\n")
    end
  end
end
