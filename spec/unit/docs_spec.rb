# frozen_string_literal: true

RSpec.describe "The documents" do
  root = Support::ROOT
  documents = Dir.glob(%w[*.md docs/**/*.md bench/*.md ext/*/README.md], base: root)

  read = ->(name) { File.read(File.join(root, name)) }
  # Prose: what stands between fences is code.
  prose = ->(name) { read.call(name).gsub(/^```.*?^```$/m, "") }

  # GitHub's name of a heading as the target of a link.
  def anchor(heading) = heading.strip.downcase.gsub(/[^\p{Word}\- ]/, "").tr(" ", "-")

  documents.each do |document|
    describe document do
      it "links to files and headings that exist" do
        links = prose.call(document).scan(/\[[^\]]*\]\(([^)\s]+)\)/).flatten.grep_v(/\A[a-z]+:/)
        broken = links.reject do |link|
          path, heading = link.split("#", 2)
          folder = File.join(root, File.dirname(document))
          file = path.empty? ? File.join(root, document) : File.expand_path(path, folder)
          next false unless File.exist?(file)

          heading.nil? || File.read(file).scan(/^#+ (.+)$/).flatten.any? { |title| anchor(title) == heading }
        end
        expect(broken).to be_empty
      end
    end
  end

  describe "docs/configuration.md" do
    # Flags of the help, "  -p, --port <PORT>", and their aliases, "[alias: --tout]".
    before(:all) do
      process = Support::ChildProcess.run_ruby(<<~RUBY)
        require "iodine"
        require "iodine/cli"
        puts Iodine::Base::CLI.help
      RUBY
      @help = process.out.text
      definitions = @help.scan(/^ +((?:-\w, )?--[\w-]+)|\[alias(?:es)?: (.*?)\]/).flatten.compact
      @flags = definitions.flat_map { |names| names.split(", ") }
    end

    attr_reader :flags

    # What the help says of each flag: its long name, and all between that and the next one.
    def described
      options = @help[/^Address Binding:.*?^Spelling:/m].scan(/^ +(?:-\w, )?(--[\w-]+)(.*?)(?=^ +(?:-\w, )?--|^\S)/m)
      options.to_h.transform_values { |text| text.gsub(/\s+/, " ") }.except("--help", "--version")
    end

    cells = ->(line) { line.split("|")[1..-2].map { |cell| cell.delete("`").strip } }

    # The rows of the tables of flags, each a Hash by the heads of its table.
    listing = read.call("docs/configuration.md").scan(/^\| Flag \|.*?^(?!\|)/m).flat_map do |table|
      heads, _line, *body = table.lines.grep(/\A\|/).map(&cells)
      body.map { |row| heads.zip(row).to_h }
    end

    documented = read.call("docs/configuration.md").scan(/`(--?[\w?][\w-]*)`/).flatten.uniq

    it "has every flag of the help, under all its names" do
      expect(flags).to include("--port", "-p", "--tout", "-?")
      expect(flags - documented).to be_empty
    end

    it "has no flag in its tables that the help does not have" do
      rows = read.call("docs/configuration.md").scan(/^\| `(--[\w-]+)` \| ([^|]*)\|/)
      named = rows.flat_map { |flag, aliases| [flag, *aliases.scan(/`([^`]+)`/).flatten] }
      expect(named).to include("--port", "-p")
      expect(named - flags).to be_empty
    end

    it "has the defaults and the variables of the help" do
      told = described.transform_values do |text|
        [text[/\[default: (.*?)\]/, 1], text[/\[env: (.*?)\]/, 1].to_s.split(", ")]
      end
      listed = listing.to_h do |row|
        [row["Flag"], [row["Default"].to_s[/\A[^;]+/], row["Environment"].to_s.scan(/[A-Z_]{4,}/)]]
      end
      expect(told.size).to be > 30
      expect(listed.slice(*told.keys)).to eq(told)
    end

    it "has the key of every setting" do
      process = Support::ChildProcess.run_ruby(<<~RUBY)
        require "iodine"
        require "iodine/cli"
        puts Iodine::Base::CLI::SETTINGS.values
      RUBY
      keys = process.out.lines.reject { |key| key == "filename_" }
      expect(keys).to include("address")
      expect(keys.reject { |key| read.call("docs/configuration.md").include?("`:#{key}`") }).to be_empty
    end
  end

  describe "docs/limits.md" do
    it "names tests that exist" do
      folders = %w[spec ext/iodine-proto/tests ext/iodine-core/src ext/iodine-core/tests]
      named = read.call("docs/limits.md").scan(%r{`([\w/]+\.(?:rb|rs))`}).flatten.uniq
      lost = named.reject { |name| [".", *folders].any? { |folder| File.exist?(File.join(root, folder, name)) } }
      expect(named).not_to be_empty
      expect(lost).to be_empty
    end

    it "has a proof for each limit" do
      tables = read.call("docs/limits.md").scan(/^\|.*\| Proof \|\n(?:\|.*\n)+/)
      rows = tables.flat_map { |table| table.lines.drop(2) }
      expect(rows.size).to be > 40
      expect(rows.grep_v(%r{`[\w/]+\.r[bs]`})).to be_empty
    end
  end

  describe "SECURITY.md" do
    # What, bound, flag and proof of each row.
    bounds = read.call("SECURITY.md")[/^## Bounds$.*?^## /m].scan(/^\| ([^|]+) \| ([^|]+) \| ([^|]*) ?\| (`[^|]+) \|$/)

    before(:all) do
      process = Support::ChildProcess.run_ruby("require 'iodine'; require 'iodine/cli'; puts Iodine::Base::CLI.help")
      @help = process.out.text
    end

    it "has a proof for each bound, which exists" do
      proofs = bounds.flat_map { |row| row.last.scan(/`([^`]+)`/).flatten }
      expect(bounds.size).to be > 35
      expect(proofs.uniq.reject { |name| File.file?(File.join(root, name)) }).to be_empty
      rows = read.call("SECURITY.md")[/^## Bounds$.*?^## /m].lines.grep(/\A\| (?!What|---)/)
      expect(rows.size).to eq(bounds.size)
    end

    it "names flags that exist, with their defaults" do
      flagged = bounds.filter_map { |_, bound, flag, _| [flag[/`-([\w-]+)`/, 1], bound] if flag.include?("`-") }
      flagged.each do |name, bound|
        text = @help[/--#{name}\b.*?(?=^ +(?:-\w, )?--|^\S)/m] or raise "no flag -#{name} in the help"
        default = text[/\[default:\s+(.*?)\]/m, 1]
        expect(bound).to match(/\A#{default} /) if default.match?(/\A[1-9]/)
      end
      expect(flagged.size).to be > 8
    end
  end

  describe "docs/upgrading_from_0.7.md" do
    it "answers each of the 70 known defects of 0.7" do
      rows = read.call("docs/upgrading_from_0.7.md").scan(/^\| (\d+)\. [^|]+ \| [^|]+ \|$/).flatten.map(&:to_i)
      expect(rows).to eq((1..70).to_a)
    end
  end

  describe "examples/" do
    it "has nothing that no spec runs" do
      specs = Dir.glob("spec/**/*_spec.rb", base: root).concat(["spec/support/rails_application.rb"]).map(&read).join
      lost = Dir.glob("**/*.{rb,ru}", base: "#{root}/examples").reject { |name| specs.include?(name) }
      expect(lost).to be_empty
    end
  end
end
