# frozen_string_literal: true

# Whether the extension uses Ruby's memory, and its own, as it should. The suite has the short forms: spec/memory.
namespace :memory do
  desc "Run specs with servers whose garbage collector works all the time: stress, young or compact [mode,pattern]"
  task :collector, %i[mode pattern] => :compile do |_, given|
    # Everything takes its time. What is measured in seconds of the clock may fail then, what crashes is a mistake.
    env = { "IODINE_COLLECTOR" => given.mode || "young", "IODINE_PATIENCE" => "6" }
    sh env, "rspec", "--pattern", given.pattern || "spec/{integration,refusals}/**/*_spec.rb"
  end

  desc "Run the whole tour of a server with each mode of its collector"
  task tour: :compile do
    sh({ "IODINE_MEMORY" => "all" }, "rspec", "spec/memory/collector_spec.rb")
  end

  desc "Count what 100,000 requests, connections, subscriptions and timers each leave behind [rounds]"
  task :leaks, [:rounds] => :compile do |_, given|
    sh({ "IODINE_ROUNDS" => given.rounds || "100000" }, "rspec", "spec/memory/leaks_spec.rb")
  end

  desc "Run a server under valgrind's memcheck, with the extension built for that"
  task :check do
    library = Extension.build("--profile", "profiling", "--no-default-features", "--features", "memcheck")
    # Where a precompiled gem has it: there it is found before the usual one.
    folder = "tmp/memcheck/iodine/#{RUBY_VERSION[/\d+\.\d+/]}"
    mkdir_p folder
    cp library, "#{folder}/#{File.basename(Extension::INSTALLED)}", preserve: true
    sh({ "IODINE_MEMCHECK" => File.expand_path("tmp/memcheck") }, "rspec", "spec/memory/memcheck_spec.rb")
  end
end
