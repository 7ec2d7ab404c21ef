# frozen_string_literal: true

RSpec.describe "examples/" do
  folder = "#{Support::ROOT}/examples"
  greeting = "Say something. \"bye\" to leave.\n"

  describe "raw_echo.rb" do
    serving { Support::Server.script(File.read("#{folder}/raw_echo.rb"), "0") }

    it "says back what it is told" do
      server.connect do |peer|
        expect(peer.read(greeting.bytesize)).to eq(greeting)
        peer.write("hello\n")
        expect(peer.read(6)).to eq("hello\n")
        peer.write("bye\n")
        expect(peer.read_to_end).to eq("bye\n")
      end
    end
  end

  describe "raw_chat.rb" do
    serving { Support::Server.script(File.read("#{folder}/raw_chat.rb"), "0") }

    it "asks for a name, and tells everybody what is said" do
      server.connect do |ada|
        expect(ada.read_until("\n")).to eq("What is your name?\n")
        ada.write("not a name\nAda\nhello")
        expect(ada.read_until("here\n")).to eq("Just a word, please.\n* Ada is here\n")
        server.connect do |bob|
          bob.write("Ada\r\nBob\r\nhi there\r\n")
          expect(bob.read_until("there\n")).to eq("What is your name?\nAda is taken.\n* Bob is here\nBob: hi there\n")
          expect(ada.read_until("there\n")).to eq("* Bob is here\nBob: hi there\n")
          ada.write(" Bob\n")
          expect(bob.read_until("\n")).to eq("Ada: hello Bob\n")
          bob.write("/quit\n")
          expect(bob.read_to_end).to eq("")
        end
        expect(ada.read_until("left\n")).to eq("Ada: hello Bob\n* Bob has left\n")
        ada.write("x" * 2000)
        expect(ada.read_to_end).to eq("a line is longer than 1024 bytes\n")
      end
    end
  end

  describe "websocket_client.rb" do
    serve "realtime.ru"

    it "sends what is typed and prints what comes" do
      reader, writer = IO.pipe
      out, out_writer = IO.pipe
      pid = Process.spawn(RbConfig.ruby, "-I#{Support::ROOT}/lib", "#{folder}/websocket_client.rb",
                          "ws://127.0.0.1:#{server.port}/echo?greet", in: reader, out: out_writer)
      output = Support::Output.new(out)
      [reader, out_writer].each(&:close)
      output.wait_for(/< open/)
      writer.puts("hello", "close")
      output.wait_for(/< hello\n\(closed: 1005 ; again in 1 s\)\n\(connected/)
      writer.close
      expect(Process.wait2(pid).last).to be_success
    ensure
      output&.finish
    end
  end
end
