# frozen_string_literal: true

require "English"
require "json"

# THIRD_PARTY.md: the crates that are linked into the extension, and the licences they are used under.
module Licences
  FILE = "THIRD_PARTY.md"
  # Crates of other systems are in it as well, for the file goes with the source.
  TARGETS = %w[x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu x86_64-apple-darwin aarch64-apple-darwin].freeze
  # Of several licences that a crate offers the first of these is chosen.
  PREFERRED = %w[MIT ISC BSD-3-Clause Zlib Unicode-3.0 BSL-1.0 Apache-2.0].freeze
  # How the file of a licence calls itself, where that is not the licence's name.
  NAMES = { "Apache-2.0" => "APACHE", "BSL-1.0" => "BOOST" }.freeze

  # A crate, the licences that are chosen, and their texts.
  Crate = Struct.new(:name, :version, :repository, :licences, :texts, keyword_init: true) do
    def title = "#{name} #{version}"
  end

  module_function

  # The text of the file as it should be.
  def document
    crates = linked
    "#{HEAD}#{crates.map { |crate| row(crate) }.join}\n## Texts\n#{texts(crates).join}"
  end

  def current? = File.exist?(FILE) && File.read(FILE) == document

  def row(crate) = "| #{crate.name} | #{crate.version} | #{crate.licences.join(" and ")} | #{crate.repository} |\n"

  # Each text once, below the names of the crates that have it.
  def texts(crates)
    owners = crates.flat_map { |crate| crate.texts.map { |text| [text, crate.title] } }.group_by(&:first)
    owners.map { |text, pairs| "\n### #{pairs.map(&:last).join(", ")}\n\n```text\n#{text}\n```\n" }
  end

  def linked
    known = packages
    titles.map { |title| crate(known.fetch(title)) }
  end

  # `name version` of all crates in the library: no build script, no procedural macro, none of our own.
  def titles
    lines = TARGETS.flat_map do |target|
      cargo("tree", "--package", "iodine_ext", "--edges", "normal,no-proc-macro", "--target", target,
            "--prefix", "none", "--format", "{p}").lines
    end
    lines.grep_v(%r{\(/}).map { |line| line[/\A(\S+ v\S+)/, 1].sub(" v", " ") }.uniq.sort
  end

  def packages
    found = JSON.parse(cargo("metadata", "--format-version", "1")).fetch("packages")
    found.to_h { |package| ["#{package["name"]} #{package["version"]}", package] }
  end

  def crate(package)
    licences = choose(package.fetch("license"))
    texts = files(File.dirname(package["manifest_path"]), licences).map { |path| read(path) }
    facts = package.slice("name", "version", "repository").transform_keys(&:to_sym)
    Crate.new(**facts, licences: licences, texts: texts)
  end

  # The licences of an SPDX expression that hold together.
  def choose(expression)
    expression.split(" AND ").map do |choice|
      offered = choice.delete("()").split(%r{ OR |/})
      PREFERRED.find { |licence| offered.include?(licence) } or abort "#{FILE}: no rule for the licence #{expression}"
    end
  end

  # The files of these licences; all there are when no name tells them apart.
  def files(folder, licences)
    all = Dir.children(folder).grep(/\A(licen[cs]e|copying|notice)/i).sort
    named = all.select { |name| licences.any? { |licence| name.upcase.include?(NAMES.fetch(licence, licence.upcase)) } }
    found = licences.one? && named.any? ? named : all
    abort "#{FILE}: no licence in #{folder}" if found.empty?
    found.map { |name| File.join(folder, name) }
  end

  def read(path) = File.read(path).encode(universal_newline: true).lines.map(&:rstrip).join("\n").strip

  def cargo(*arguments)
    output = IO.popen(["cargo", *arguments, "--locked"], &:read)
    abort "cargo #{arguments.first} failed" unless $CHILD_STATUS.success?
    output
  end

  HEAD = <<~TEXT
    # Third-party code

    iodine's extension is linked from the crates below, whose authors hold the rights to them. Where a crate offers several
    licences, the one named here was chosen. `rake licences` writes this file from `Cargo.lock`.

    | Crate | Version | Licence | Source |
    | --- | --- | --- | --- |
  TEXT
  private_constant :HEAD
end

desc "Write #{Licences::FILE}, the licences of the crates in the extension"
task :licences do
  File.write(Licences::FILE, Licences.document)
end

namespace :lint do
  desc "Check that #{Licences::FILE} is current"
  task :licences do
    Licences.current? or abort "#{Licences::FILE} is not that of Cargo.lock: run `rake licences`"
  end
end

task lint: "lint:licences"
