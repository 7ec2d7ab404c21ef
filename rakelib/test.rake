# frozen_string_literal: true

namespace :test do
  desc "Run the tests of the crates that need no Ruby"
  task :rust do
    sh "cargo test --locked"
  end
end

desc "Run the specs against the extension as it is now"
task spec: :compile do
  sh "rspec"
end

desc "Run all tests"
task test: ["test:rust", :spec]
