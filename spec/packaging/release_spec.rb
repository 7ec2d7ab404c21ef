# frozen_string_literal: true

require "rubygems/package"
require_relative "workshop"

# The tasks that a release is made with, as they are run for one.
RSpec.describe "Releases", :slow do
  # Longest time for a task, seconds. Most of it is the compiler's, on a machine that has never built this.
  bound = 1500

  def rake(task, within:, env: {})
    process = Support::ChildProcess.new("rake", task, chdir: Support::ROOT, env: Workshop.environment(env))
    status = process.wait(within: within)
    expect(status).to be_success, process.out.text + process.log.text
    process.out.text
  ensure
    process&.kill_group
  end

  let(:version) { Gem::Specification.load("#{Support::ROOT}/iodine.gemspec").version }
  let(:minor) { RUBY_VERSION[/\d+\.\d+/] }

  it "have a source gem that builds, installs and answers (rake release:check)" do
    expect(rake("release:check", within: bound, env: Workshop::QUICK_BUILD))
      .to include("iodine-#{version}.gem installs, starts and answers")
  end

  it "have a gem for this platform, which needs no compiler (rake native)" do
    platform = "#{Gem::Platform.local.cpu}-#{Gem::Platform.local.os}"
    expect(rake("native", within: bound)).to include("iodine-#{version}-#{platform}.gem installs, starts and answers")

    specification = Gem::Package.new("#{Support::ROOT}/pkg/iodine-#{version}-#{platform}.gem").spec
    expect(specification.extensions).to be_empty
    expect(specification.files).to include("lib/iodine/#{minor}/iodine_ext.#{RbConfig::CONFIG["DLEXT"]}",
                                           "LICENSE", "THIRD_PARTY.md")
    expect(specification.files.grep(/\.rs\z|Cargo/)).to be_empty
    expect(specification.required_ruby_version).to be_satisfied_by(Gem::Version.new(RUBY_VERSION))
    expect(specification.required_ruby_version).not_to be_satisfied_by(Gem::Version.new("4.9.0"))
  end
end
