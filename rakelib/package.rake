# frozen_string_literal: true

desc "Build the gem into pkg/"
task :build do
  specification = Gem::Specification.load("iodine.gemspec")
  mkdir_p "pkg"
  sh "gem", "build", "iodine.gemspec", "--output", "pkg/#{specification.file_name}"
end
