# frozen_string_literal: true

require "fileutils"
require "iodine"
require "stringio"
require "tmpdir"

RSpec.describe Iodine::Mustache do
  def render(template, data = nil, partials: nil, **fields)
    described_class.new(template: template, partials: partials).render(data || fields)
  end

  # Runs the block in a new folder with these files.
  def in_folder(files = {})
    Dir.mktmpdir("iodine-spec") do |folder|
      files.each { |name, text| write(File.join(folder, name), text) }
      Dir.chdir(folder) { yield folder }
    end
  end

  def write(path, text)
    FileUtils.mkdir_p(File.dirname(path))
    File.write(path, text)
  end

  # What the block logs.
  def logged
    log = StringIO.new
    stderr = $stderr
    $stderr = log
    yield
    log.string
  ensure
    $stderr = stderr
  end

  describe ".new" do
    it "takes a file name, a source, or both, as arguments, keywords or a Hash" do
      in_folder("page.mustache" => "file {{x}}") do
        sources = [
          described_class.new("page"), described_class.new("page.mustache"), described_class.new(filename: "page"),
          described_class.new({ filename: "page" })
        ]
        expect(sources.map { |template| template.render(x: 1) }.uniq).to eq(["file 1"])
        expect(described_class.new("page", "source {{x}}").render(x: 1)).to eq("source 1")
        expect(described_class.new(filename: "page", template: "source").render({})).to eq("source")
      end
    end

    it "needs a file name or a source" do
      [[], [nil], [nil, nil]].each do |arguments|
        expect { described_class.new(*arguments) }
          .to raise_error(ArgumentError, "need either template contents or file name.")
      end
      expect { described_class.new("a", "b", "c") }.to raise_error(ArgumentError)
      expect { described_class.new(file: "a") }.to raise_error(ArgumentError)
    end

    it "takes Strings only" do
      [[1], [nil, 1], [:page], ["page", :source]].each do |arguments|
        expect { described_class.new(*arguments) }.to raise_error(TypeError)
      end
      expect { described_class.new(template: "", partials: { "a" => 1 }) }.to raise_error(TypeError)
      expect { described_class.new(template: "", partials: []) }.to raise_error(TypeError)
    end

    it "raises LoadError for a file that is not there, or is a folder" do
      in_folder("folder/page.mustache" => "") do
        expect { described_class.new("nowhere") }.to raise_error(LoadError, /"nowhere".*"nowhere\.mustache"/)
        expect { described_class.new("folder") }.to raise_error(LoadError)
        expect { described_class.new("no\0where") }.to raise_error(LoadError)
      end
    end

    {
      "{{#a}}" => "t.mustache:1:1: ", "line\n  {{/a}}" => "t.mustache:2:3: ", "{{#a}}\n{{/b}}" => "t.mustache:2:1: ",
      "{{a" => "t.mustache:1:1: ", "{{}}" => "t.mustache:1:1: ", "{{=x=}}" => "t.mustache:1:1: "
    }.each do |source, place|
      it "raises RuntimeError with file, line and column for #{source.inspect}" do
        expect { described_class.new("t.mustache", source) }.to raise_error(RuntimeError, /\A#{Regexp.escape(place)}/)
      end
    end

    it "keeps what it was given" do
      source = +"{{x}}"
      template = described_class.new(template: source, reload: true)
      source.replace("other")
      expect(template.render(x: 1)).to eq("1")
    end
  end

  describe "#render" do
    it "returns a UTF-8 String" do
      text = render("é {{x}}", x: "ü".encode("ISO-8859-1"))
      expect(text).to eq("é ü").and be_valid_encoding
      expect(text.encoding).to be(Encoding::UTF_8)
    end

    {
      "é" => "é", :symbol => "symbol", 1 => "1", -1 => "-1", (2**70) => (2**70).to_s, 1.5 => "1.5", true => "true",
      false => "", nil => "", [1, nil] => "[1, nil]", Rational(1, 2) => "1/2", "" => "",
      "<&>\"'" => "&lt;&amp;&gt;&quot;&#39;"
    }.each do |value, text|
      it "prints #{value.inspect} as #{text.inspect}" do
        expect(render("{{x}}", x: value)).to eq(text)
      end
    end

    it "prints bytes that are no UTF-8 as they are" do
      expect(render("{{x}}", x: "\xff".b).bytes).to eq([0xff])
    end

    it "looks into a Hash by Symbol, by String, and for a method" do
      expect(render("{{a}}{{b}}{{size}}", { a: 1, "a" => 2, "b" => 3 })).to eq("133")
      expect(render("{{é}}", { "é" => 1 })).to eq("1")
      expect(render("{{a}}", Hash.new { |_, key| "default of #{key}" })).to eq("")
    end

    it "finds a Symbol that was made at run time" do
      name = "made_at_run_time_#{rand(1 << 60)}"
      expect(render("{{#{name}}}", { name.to_sym => 1 })).to eq("1")
    end

    it "calls public methods that need no arguments" do
      object = Class.new do
        def none = "none"
        def optional(value = "optional") = value
        def required(value) = value
        def method_missing(name, ...) = name == :missing ? "missing" : super
        def respond_to_missing?(name, all = false) = name == :missing || super

        protected

        def guarded = "guarded"

        private

        def hidden = "hidden"
      end
      text = render("{{none}},{{optional}},{{required}},{{guarded}},{{hidden}},{{missing}}", object.new)
      expect(text).to eq("none,optional,,,,missing")
      expect(render("{{a.length}} {{b.c.first}}", a: "abc", b: { c: [7] })).to eq("3 7")
      expect(render("{{x}}", Struct.new(:x).new(1))).to eq("1")
    end

    it "goes on to the enclosing contexts when a name is unknown, not when it is nil" do
      data = { name: "outer", inner: [{}, { name: nil }, { name: false }, { name: "inner" }] }
      expect(render("{{#inner}}[{{name}}]{{/inner}}", data)).to eq("[outer][][][inner]")
    end

    {
      nil => "no", false => "no", [] => "no", {} => "yes", "" => "yes", 0 => "yes", "text" => "yes", true => "yes",
      [1, 2] => "yesyes"
    }.each do |value, text|
      it "renders a section of #{value.inspect} as #{text.inspect}" do
        expect(render("{{#x}}yes{{/x}}{{^x}}no{{/x}}", x: value)).to eq(text)
      end
    end

    it "makes Strings and numbers the context, but not their methods" do
      data = { title: "T", class: "big", on: true, count: 3 }
      expect(render("{{#title}}{{.}} {{title}} {{class}}{{/title}}", data)).to eq("T T big")
      expect(render("{{#on}}{{class}} {{.}}{{/on}} {{#count}}{{.}}{{/count}}", data)).to eq("big true 3")
      expect(render("{{#.}}{{.}}{{length}} {{/.}}", %w[a bc])).to eq("a1 bc2 ")
    end

    it "ends the recursion of a partial at nil" do
      tree = { name: 1, child: { name: 2, child: { name: 3, child: nil } } }
      text = render("{{>node}}", tree, partials: { node: "{{name}}{{#child}}-{{>node}}{{/child}}" })
      expect(text).to eq("1-2-3")
    end

    it "raises RuntimeError for a recursion without end" do
      template = described_class.new(template: "{{>node}}", partials: { "node" => "x\n{{>node}}" })
      expect { template.render({}) }.to raise_error(RuntimeError, /\Anode:2:1: .*deep/)
    end

    it "raises RuntimeError for more than 256 open sections" do
      nested = ->(depth) { "#{"{{#a}}" * depth}x#{"{{/a}}" * depth}" }
      expect(render(nested.call(255), a: 1)).to eq("x")
      expect(render(nested.call(256), a: 1)).to eq("x")
      expect { described_class.new(template: nested.call(257)) }.to raise_error(RuntimeError, /more than 256 nested/)
    end

    it "raises RuntimeError for a template of more than 64 MiB" do
      largest = "x" * (64 << 20)
      expect(described_class.new(template: largest)).to be_a(described_class)
      expect { described_class.new(template: "#{largest}x") }.to raise_error(RuntimeError, /exceeds 67108864 bytes/)
    end

    it "renders long texts and many partials in big templates" do
      long = "x" * 200_000
      expect(render("#{long}{{y}}", y: 1)).to eq("#{long}1")
      lines = "line\n" * 3000
      expect(render("#{lines}{{>p}}\n" * 2, {}, partials: { "p" => lines })).to eq(lines * 4)
    end

    it "logs exceptions of the data, and takes the value as empty" do
      object = Class.new do
        def broken = raise(ArgumentError, "of the data")
        def after = "after"
      end
      log = logged { expect(render("[{{broken}}]{{#broken}}x{{/broken}}{{after}}", object.new)).to eq("[]after") }
      expect(log).to match(/ERROR: Iodine::Mustache: broken: ArgumentError: of the data\n.*mustache_spec\.rb/)

      printed = Class.new { def to_s = raise("to_s") }.new
      log = logged { expect(render("[{{x}}]", x: printed)).to eq("[]") }
      expect(log).to include("to_s")
    end

    it "lets pass what is no StandardError" do
      interrupted = Class.new { def x = raise(Interrupt, "now") }.new
      expect { render("{{x}}", interrupted) }.to raise_error(Interrupt, "now")
      thrown = Class.new { def x = throw(:away, 1) }.new
      expect(catch(:away) { render("{{x}}", thrown) }).to eq(1)
    end
  end

  describe "long renderings" do
    # In a process of its own, which can be ended. Each of the levels of lists multiplies the elements by 1,000.
    it "are ended by Timeout and with their thread, and let other threads run" do
      process = Support::ChildProcess.run_ruby(<<~RUBY)
        require "iodine"
        require "timeout"
        template = Iodine::Mustache.new(template: "{{#a}}" * 8 + "{{/a}}" * 8)
        data = { a: Array.new(1000) { {} } }
        begin
          Timeout.timeout(0.1) { template.render(data) }
        rescue Timeout::Error
          puts "timeout"
        end
        rendering = Thread.new { template.render(data) }
        puts Thread.new { "another thread" }.value
        puts rendering.kill.join.equal?(rendering)
      RUBY
      expect(process.out.text).to eq("timeout
another thread
true
")
    end

    it "end although a list grows and shrinks" do
      list = [1, 2, 3] # as long as it is when its section begins
      grow = ->(_) { list.push(list.size) && "" }
      shrink = ->(_) { list.pop && "" }
      template = described_class.new(template: "{{#list}}{{.}}{{#change}}{{/change}},{{/list}}")
      expect(template.render(list: list, change: grow)).to eq("1,2,3,")
      expect(template.render(list: list, change: shrink)).to eq("1,2,3,")
      expect(template.render(list: list, change: shrink)).to eq("1,2,")
    end
  end

  it "survives data that change, raise and render again meanwhile" do
    template = described_class.new(template: "{{#rows}}{{name}}{{#change}}{{/change}}{{name}},{{/rows}}{{name}}")
    rows = Array.new(3) { |row| { name: "row #{row} #{"x" * 40}" } }
    data = { rows: rows, name: "outer" }
    inner = described_class.new(template: "[{{name}}]")
    data[:change] = lambda do |_|
      text = inner.render(data)
      [rows, data, *rows.compact].each(&:clear)
      GC.start
      text
    end
    expect(template.render(data)).to eq("row 0 #{"x" * 40}[outer],")
  end

  it "prints nothing for objects without methods, and logs why" do
    log = logged { expect(render("[{{x}}{{#x}}y{{x.z}}{{/x}}]", x: BasicObject.new)).to eq("[y]") }
    expect(log).to include("NoMethodError")
    expect(render("[{{x}}]", BasicObject.new)).to eq("[]")
  end

  it "takes the text of a lambda as the name of a partial" do
    expect(render("{{>*name}}", { name: -> { "p" } }, partials: { "p" => "P" })).to eq("P")
  end

  describe "lambdas" do
    it "renders what they return" do
      data = { name: "Ada", bold: ->(text) { "<b>#{text}</b>" }, hello: -> { "{{name}}!" } }
      expect(render("{{#bold}}{{name}}{{/bold}} {{hello}}", data)).to eq("<b>Ada</b> Ada!")
    end

    it "escapes the text of a variable, not of a section" do
      data = { variable: -> { "<" }, section: ->(_) { "<" } }
      expect(render("{{variable}}{{{variable}}}{{#section}}{{/section}}", data)).to eq("&lt;<<")
    end

    it "takes any object with a public method `call`, and methods that return one" do
      callable = Class.new { def call(text = "none") = "called with #{text}" }.new
      owner = Struct.new(:helper).new(callable)
      expect(render("{{helper}}, {{#helper}}text{{/helper}}", owner)).to eq("called with none, called with text")
    end

    it "prints nothing for nil and false, the text of anything else" do
      expect(render("{{a}}{{b}}{{c}}", a: -> {}, b: -> { false }, c: -> { 7 })).to eq("7")
    end

    it "raises RuntimeError when the text is no template, with the place in it" do
      expect { render("{{#x}}{{/x}}", x: ->(_) { "\n{{#open}}" }) }
        .to raise_error(RuntimeError, /\Atemplate \(in the text of a lambda\):2:1: /)
    end

    it "logs their exceptions" do
      expect(logged { expect(render("[{{x}}]", x: -> { raise "of the lambda" })).to eq("[]") })
        .to include("of the lambda")
    end
  end

  describe "partials" do
    it "are looked for in the template's folder, then in those above it" do
      files = {
        "index.mustache" => "{{>parts/list}}", "parts/list.mustache" => "{{>row}}{{>shared}}",
        "parts/row" => "row,", "shared.mustache" => "shared", "row.mustache" => "wrong"
      }
      in_folder(files) { expect(described_class.new("index").render({})).to eq("row,shared") }
    end

    it "are looked for in the folder of the file name when there is a source" do
      in_folder("views/row.mustache" => "row") do
        expect(described_class.new("views/index", "{{>row}}").render({})).to eq("row")
        expect { described_class.new("index", "{{>row}}") }
          .to raise_error(LoadError, /\Aindex:1:1: no template "row"/)
      end
    end

    it "are looked for in the current folder only if a template is named without one" do
      in_folder("row.mustache" => "row", "views/index.mustache" => "{{>row}}") do |folder|
        expect { described_class.new("views/index") }.to raise_error(LoadError)
        expect(render("{{>row}}")).to eq("row")
        expect(render("{{>#{folder}/row}}")).to eq("row")
      end
    end

    it "may name one another by any path" do
      files = { "views/a.mustache" => "a{{#x}}{{>../views/b}}{{/x}}",
                "views/b.mustache" => "b{{^x}}{{>../views/a}}{{/x}}" }
      in_folder(files) { expect(described_class.new("views/a").render(x: {})).to eq("ab") }
    end

    it "raise when they are malformed or missing" do
      in_folder("broken.mustache" => "\n{{#a}}", "index.mustache" => "\n {{>gone}}") do
        expect { render("{{>broken}}") }.to raise_error(RuntimeError, /\Abroken\.mustache:2:1: /)
        expect { described_class.new("index") }.to raise_error(LoadError, /\Aindex\.mustache:2:2: /)
      end
    end

    it "may be given; then none is read from a file" do
      in_folder("file.mustache" => "file") do
        expect(render("{{>a}}{{>file}}", { x: 1 }, partials: { a: "{{>b}}", "b" => "{{x}}" })).to eq("1")
      end
    end

    it "may be named by the data, below the template's folder" do
      in_folder("views/a.mustache" => "A{{>b}}", "views/b.mustache" => "B", "secret.mustache" => "secret") do |folder|
        template = described_class.new("views/index", "\n{{>*name}}")
        2.times { expect(template.render(name: "a")).to eq("\nAB") }
        ["../secret", "#{folder}/secret", "./../secret"].each do |name|
          expect { template.render(name: name) }.to raise_error(LoadError, %r{\Aviews/index:2:1: .*comes from data})
        end
        expect { template.render(name: "gone") }.to raise_error(LoadError, %r{\Aviews/index:2:1: no template "gone"})
      end
    end

    it "may be parents with blocks" do
      in_folder("layout.mustache" => "<{{$title}}none{{/title}}>") do
        expect(render("{{<layout}}{{$title}}{{x}}{{/title}}{{/layout}}", x: 1)).to eq("<1>")
      end
    end
  end

  describe "changed files" do
    files = { "page.mustache" => "old {{>part}}", "part.mustache" => "part" }

    it "are compiled again if asked" do
      in_folder(files) do
        kept = described_class.new("page")
        fresh = described_class.new("page", reload: true)
        expect(fresh.render({})).to eq("old part")
        File.write("part.mustache", "another part")
        expect(fresh.render({})).to eq("old another part")
        File.write("page.mustache", "new")
        expect(fresh.render({})).to eq("new")
        expect(kept.render({})).to eq("old part")
      end
    end

    it "raise until they are mended" do
      in_folder(files) do
        template = described_class.new(filename: "page", reload: true)
        File.write("page.mustache", "broken {{#x}}")
        2.times { expect { template.render({}) }.to raise_error(RuntimeError, /page\.mustache:1:8/) }
        File.delete("page.mustache")
        expect { template.render({}) }.to raise_error(LoadError)
        File.write("page.mustache", "mended")
        expect(template.render({})).to eq("mended")
      end
    end
  end

  describe ".render" do
    it "takes arguments or keywords" do
      in_folder("page.mustache" => "file {{x}}") do
        expect(described_class.render("page", { x: 1 })).to eq("file 1")
        expect(described_class.render("page", x: 1)).to eq("file 1")
        expect(described_class.render("page", { x: 1 }, "source {{x}}")).to eq("source 1")
        expect(described_class.render(filename: "page", data: { x: 1 })).to eq("file 1")
        expect(described_class.render(template: "source {{x}}", data: { x: 1 })).to eq("source 1")
      end
    end

    it "refuses other arguments" do
      expect { described_class.render }.to raise_error(ArgumentError)
      expect { described_class.render("page") }.to raise_error(ArgumentError)
      expect { described_class.render(nil, {}) }.to raise_error(ArgumentError, /need either/)
      expect { described_class.render("page", {}, "source", 1) }.to raise_error(ArgumentError)
      expect { described_class.render(name: "page") }.to raise_error(ArgumentError)
      expect { described_class.render(1, {}) }.to raise_error(TypeError)
    end

    it "sees changed files, and the current folder" do
      in_folder("page.mustache" => "one") do
        expect(described_class.render("page", {})).to eq("one")
        File.write("page.mustache", "two!")
        expect(described_class.render("page", {})).to eq("two!")
        in_folder("page.mustache" => "elsewhere") { expect(described_class.render("page", {})).to eq("elsewhere") }
      end
    end

    it "keeps a bounded number of templates" do
      before = ObjectSpace.each_object(described_class).count
      (described_class::KEPT * 4).times { |index| described_class.render(nil, {}, "template #{index}") }
      GC.start
      expect(ObjectSpace.each_object(described_class).count - before).to be <= described_class::KEPT * 2
    end
  end

  describe "the collector" do
    # Every method returns a new object that only the renderer knows.
    node_class = <<~'RUBY'
      Class.new do
        def initialize(depth) = @depth = depth
        def children = Array.new(@depth.zero? ? 0 : 2) { self.class.new(@depth - 1) }
        def label = "label #{@depth} #{"x" * 40}"
        def title = "title #{@depth} #{"y" * 40}"
        def wrap = ->(text) { "(#{text})" }
        def collect = GC.start && nil
        def compact = GC.respond_to?(:compact) ? GC.compact && nil : nil
      end
    RUBY
    let(:partials) do
      { "node" => "{{label}}{{#title}}[{{collect}}{{compact}}{{.}}]{{/title}}{{#wrap}}{{label}}{{/wrap}}" \
                  "{{#children}}{{collect}}{{compact}}{{>node}}{{/children}};" }
    end

    def expected(depth)
      own = "label #{depth} #{"x" * 40}[title #{depth} #{"y" * 40}](label #{depth} #{"x" * 40})"
      "#{own}#{depth.zero? ? "" : expected(depth - 1) * 2};"
    end

    # In a process of its own: not every library that specs load survives it when objects move.
    it "may run, and compact, at any time" do
      process = Support::ChildProcess.run_ruby(<<~RUBY, partials.fetch("node"))
        require "iodine"
        template = Iodine::Mustache.new(template: "{{>node}}", partials: { "node" => ARGV.fetch(0) })
        puts template.render((#{node_class}).new(3))
      RUBY
      expect([process.out.text, process.log.text]).to eq(["#{expected(3)}\n", ""])
    end

    # In a process whose heap is small, for the collector walks through all of it.
    it "may run at every allocation" do
      quiet = partials.fetch("node").gsub(/{{(collect|compact)}}/, "")
      process = Support::ChildProcess.run_ruby(<<~RUBY, quiet, within: 60)
        require "iodine"
        template = Iodine::Mustache.new(template: "{{>node}}", partials: { "node" => ARGV.fetch(0) })
        data = (#{node_class}).new(2)
        GC.stress = true
        text = template.render(data)
        GC.stress = false
        puts text
      RUBY
      expect([process.out.text, process.log.text]).to eq(["#{expected(2)}\n", ""])
    end
  end

  it "may be shared by threads" do
    template = described_class.new(template: "{{#rows}}{{pass}}{{x}},{{/rows}}")
    texts = Array.new(4) do |thread|
      Thread.new do
        rows = Array.new(50) { |row| { x: "#{thread}.#{row}", pass: -> { Thread.pass } } }
        Array.new(5) { template.render(rows: rows) }
      end
    end
    texts.each_with_index do |rendering, thread|
      expect(rendering.value.uniq).to eq([Array.new(50) { |row| "#{thread}.#{row}," }.join])
    end
  end
end
