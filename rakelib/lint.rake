# frozen_string_literal: true

# The gem's workspace, and those beside it, which an unpacked gem does not have.
manifests = FileList["{.,bench/floor,bench/crowd}/Cargo.toml"]

namespace :lint do
  desc "Check the format of the Rust code"
  task :fmt do
    manifests.each { |manifest| sh "cargo fmt --all --manifest-path #{manifest} -- --check" }
  end

  desc "Check the Rust code with clippy"
  task :clippy do
    manifests.each do |manifest|
      sh "cargo clippy --workspace --all-targets --locked --manifest-path #{manifest} -- -D warnings"
    end
  end

  desc "Check the Ruby code with RuboCop"
  task :rubocop do
    sh "rubocop"
  end
end

desc "Check style: rustfmt, clippy, RuboCop, licences"
task lint: ["lint:fmt", "lint:clippy", "lint:rubocop"]
