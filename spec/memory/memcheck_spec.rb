# frozen_string_literal: true

# The tour of a server under valgrind's memcheck, by `rake memory:check`, which builds the extension so that valgrind
# sees its memory. IODINE_MEMCHECK is the folder with that library.
RSpec.describe "A server under memcheck" do
  # A finding of a function of +object+ that +caller+ has called.
  def finding(kind, object, caller)
    <<~XML
      <?xml version="1.0"?>
      <valgrindoutput><error><kind>#{kind}</kind><what>text</what><stack>
        <frame><ip>0x1</ip><obj>/usr/libexec/valgrind/vgpreload_memcheck-amd64-linux.so</obj><fn>malloc</fn></frame>
        <frame><ip>0x2</ip><obj>#{object}</obj></frame>
        <frame><ip>0x3</ip><obj>#{caller}</obj><fn>f</fn><file>f.rs</file><line>7</line></frame>
      </stack></error></valgrindoutput>
    XML
  end

  extension = "/x/iodine_ext.so"
  ruby = "/usr/lib/libruby-3.1.so"
  [
    ["UninitCondition", extension, ruby, true], ["UninitCondition", ruby, extension, false],
    ["InvalidRead", extension, ruby, true], ["InvalidRead", ruby, extension, true], ["InvalidRead", ruby, ruby, false],
    ["InvalidWrite", ruby, extension, true], ["InvalidFree", extension, ruby, true],
    ["InvalidJump", extension, ruby, true], ["Leak_DefinitelyLost", extension, ruby, true],
    ["Leak_DefinitelyLost", ruby, extension, false]
  ].each do |kind, object, caller, is_ours|
    it "answers for #{kind} of #{File.basename(object)}, called by #{File.basename(caller)}: #{is_ours}" do
      Dir.mktmpdir do |folder|
        File.write("#{folder}/found.xml", finding(kind, object, caller))
        expect(Support::Valgrind.findings("#{folder}/found.xml").map(&:ours?)).to eq([is_ours])
      end
    end
  end

  it "makes no mistake", if: ENV.key?("IODINE_MEMCHECK") do
    library = ENV.fetch("IODINE_MEMCHECK")
    Dir.mktmpdir do |folder|
      file = "#{folder}/found.xml"
      @server = Support::Tour.start(*Support::Valgrind.command(file), env: { "RUBYLIB" => library }, within: 300)
      expect(File.read("/proc/#{@server.pid}/maps")).to include("#{library}/")
      2.times { Support::Tour.new(@server, within: 300).run }
      expect(@server.stop(within: 300)).to be_success, @server.log

      found = Support::Valgrind.findings(file)
      ours = found.select(&:ours?)
      puts "memcheck: #{found.size} findings, #{ours.size} of the extension", found.map(&:to_s)
      expect(ours).to be_empty
    end
  ensure
    @server&.stop
  end
end
