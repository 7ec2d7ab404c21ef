# frozen_string_literal: true

# The list of unsafe code in ARCHITECTURE.md, against the source.
module UnsafeCode
  LIST = "ARCHITECTURE.md"
  SOURCE = "ext/iodine/src"
  # The crates that have none: the compiler sees to it.
  SAFE = %w[iodine-proto iodine-mustache iodine-core iodine-properties].freeze

  module_function

  # What is wrong, a line each.
  def mistakes
    there = counted
    here = listed
    differing = (there.keys | here.keys).reject { |file| there[file] == here[file] }
    differing.map { |file| "#{file} says `unsafe` #{there[file].to_i} times, #{LIST} #{here[file].to_i}" } + unguarded
  end

  # How often each file says `unsafe`, comments aside: blocks, functions, impls.
  def counted
    files = Dir.glob("**/*.rs", base: SOURCE)
    counts = files.to_h { |file| [file, code(File.join(SOURCE, file)).scan(/\bunsafe\b/).size] }
    counts.reject { |_file, count| count.zero? }
  end

  def code(path) = File.read(path).gsub(%r{//.*}, "")

  # The same by the table, whose rows name one file or several, and a number for each.
  def listed
    rows = File.read(LIST)[/^## Unsafe code.*?(?=^## )/m].scan(/^\| (`.*?) \| .*? \| ([\d, ]+) \|/)
    rows.each_with_object({}) do |(files, numbers), sums|
      files.scan(/`(.*?)`/).flatten.zip(numbers.split(",").map(&:to_i)) do |file, number|
        sums[file] = sums.fetch(file, 0) + number
      end
    end
  end

  def unguarded
    SAFE.filter_map do |name|
      path = "ext/#{name}/src/lib.rs"
      "#{path} does not forbid unsafe code" unless File.read(path).include?("#![forbid(unsafe_code)]")
    end
  end
end

namespace :lint do
  desc "Check that #{UnsafeCode::LIST} lists all unsafe code"
  task :unsafe do
    mistakes = UnsafeCode.mistakes
    abort mistakes.join("\n") unless mistakes.empty?
  end
end

task lint: "lint:unsafe"
