# frozen_string_literal: true

require_relative "lib/iodine/version"

Gem::Specification.new do |spec|
  spec.name = "iodine"
  spec.version = Iodine::VERSION
  spec.authors = ["The iodine authors"]
  spec.license = "MIT"
  spec.summary = "HTTP, WebSocket, SSE and raw socket server with publish/subscribe for Rack applications"
  spec.description = <<~TEXT
    A Ruby server with a Rust core. One cluster of processes serves HTTP/1.1 (Rack 2 and 3), WebSocket, Server-Sent
    Events, raw sockets and static files, with publish/subscribe, timers, TLS and hot restart.
  TEXT
  spec.required_ruby_version = ">= 3.1"
  spec.metadata["rubygems_mfa_required"] = "true"

  # The extension is built from the whole workspace, which cargo refuses to read when one of its members is missing.
  # The list is taken from the folders and not from git, so that an unpacked gem or tarball can be built again.
  documents = %w[*.md LICENSE docs/**/*.md examples/**/* sig/**/*.rbs]
  rust = %w[Cargo.toml Cargo.lock ext/**/*]
  built = %r{\Aext/[^/]+/(target/|Makefile\z|mkmf\.log\z|.*\.(so|bundle)\z)}
  spec.files = Dir.glob(%w[lib/**/*.rb exe/*] + rust + documents, base: __dir__).reject do |path|
    path.match?(built) || File.directory?(File.expand_path(path, __dir__))
  end

  spec.bindir = "exe"
  spec.executables = ["iodine"]
  spec.extensions = ["ext/iodine/extconf.rb"]
end
