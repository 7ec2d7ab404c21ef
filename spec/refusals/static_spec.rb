# frozen_string_literal: true

require "fileutils"
require "tmpdir"

# Requests for files that must not be answered with one: the application answers them, and nothing waits or breaks.
RSpec.describe "Static files that are refused" do
  before(:all) do
    @base = Dir.mktmpdir("iodine-refused")
    folder = "#{@base}/public"
    FileUtils.mkdir_p("#{folder}/sub/.hidden")
    File.write("#{@base}/secret.txt", "secret")
    File.write("#{folder}/a.txt", "0123456789")
    File.write("#{folder}/sub/b.txt", "b")
    File.write("#{folder}/.env", "secret")
    File.write("#{folder}/sub/.hidden/c.txt", "secret")
    File.symlink("../secret.txt", "#{folder}/out.txt")
    File.symlink("#{@base}/secret.txt", "#{folder}/absolute.txt")
    File.symlink("..", "#{folder}/parent")
    File.symlink("/", "#{folder}/top")
    File.symlink("loop", "#{folder}/loop")
    File.symlink("sub/b.txt", "#{folder}/within.txt")
    File.symlink("/dev/zero", "#{folder}/zero")
    File.mkfifo("#{folder}/fifo")
    UNIXServer.new("#{folder}/socket").close
    @folder = folder
  end

  after(:all) { FileUtils.rm_rf(@base) }

  serving { Support::Server.rackup("run ->(_) { [404, {}, ['app']] }", "-www", @folder) }

  targets = {
    "leave the folder" => %w[/../secret.txt /sub/../../secret.txt /.. /../ /sub/.. /./a.txt /sub/./b.txt],
    "leave it in disguise" => %w[/%2e%2e/secret.txt /%2E%2E/secret.txt /.%2e/secret.txt /..%2fsecret.txt
                                 /..%2Fsecret.txt /%2e%2e%2fsecret.txt /sub%2f..%2f..%2fsecret.txt
                                 /%252e%252e/secret.txt],
    "encode slashes" => %w[/sub%2fb.txt /sub%2Fb.txt /%2fa.txt /%2f%2fa.txt],
    "have empty segments" => %w[//a.txt /sub//b.txt //etc/passwd ///a.txt /sub//],
    "have a NUL" => %w[/a.txt%00 /%00 /a%00.txt /a.txt%00.html],
    "have backslashes" => ["/sub\\b.txt", "/..\\secret.txt", "/%5c..%5csecret.txt", "/sub%5Cb.txt"],
    "are hidden" => %w[/.env /%2eenv /sub/.hidden/c.txt /.git/config],
    "are links out of the folder" => %w[/out.txt /absolute.txt /parent/secret.txt /top/etc/passwd /loop /loop/a],
    "are no regular files" => %w[/fifo /socket /zero /sub /a.txt/ /a.txt/b],
    "have names beyond any file" => ["/#{"x" * 300}", "/#{"x/" * 2500}", "/%ff%fe", "/\u00e9"]
  }
  targets.each do |what, paths|
    it what.to_s do
      paths.each do |path|
        expect(server.get(path.b).body).to eq("app"), path
      end
    end
  end

  it "do not keep links within the folder from being served" do
    expect(server.get("/within.txt").body).to eq("b")
  end

  describe "in a folder that the server may not enter" do
    before(:all) do
      [@base, @folder].each { |path| File.chmod(0o755, path) }
      FileUtils.mkdir_p("#{@folder}/closed")
      File.write("#{@folder}/closed/a.txt", "closed")
      File.write("#{@folder}/unreadable.txt", "closed")
      ["#{@folder}/closed", "#{@folder}/unreadable.txt"].each { |path| File.chmod(0, path) }
    end

    after(:all) { File.chmod(0o700, "#{@folder}/closed") }

    # The superuser may enter all, so the server becomes somebody else.
    serving do
      Support::Server.script(<<~RUBY, @folder)
        require "iodine"
        Iodine.threads = Iodine.workers = 1
        Iodine.listen(service: :http, address: "127.0.0.1", port: 0, public: ARGV[0]) { |_| [404, {}, ["app"]] }
        Iodine.on_state(:on_start) { Process::UID.change_privilege(65_534) if Process.uid.zero? }
        Iodine.start
      RUBY
    end

    it "are not there" do
      expect(server.get("/a.txt").body).to eq("0123456789")
      %w[/closed/a.txt /closed/ /unreadable.txt].each { |path| expect(server.get(path).body).to eq("app"), path }
      expect(server.log).not_to include("ERROR")
    end
  end

  describe "in parts" do
    it "are answered by all of it when the field is malformed" do
      %w[bytes bytes= bytes=- bytes=5-4 bytes=a-b bytes=0-1,x lines=0-1 bytes=--1].each do |range|
        expect(server.get("/a.txt", "Range: #{range}")).to have_attributes(status: 200, body: "0123456789"), range
      end
    end

    it "are answered by all of it when there are too many" do
      range = Array.new(1000) { |number| "#{number % 10}-#{number % 10}" }.join(",")
      expect(server.get("/a.txt", "Range: bytes=#{range}")).to have_attributes(status: 200, body: "0123456789")
    end

    it "do not fit into a head when there are very many" do
      range = Array.new(10_000) { "0-0" }.join(",")
      server.connect do |peer|
        peer.offer(Support::Server.get("/a.txt", "Range: bytes=#{range}"))
        expect(peer.read_response.status).to eq(431)
      end
    end

    it "are joined when they overlap" do
      response = server.get("/a.txt", "Range: bytes=0-5,4-7,8-9,0-")
      expect(response).to have_attributes(status: 206, body: "0123456789")
      expect(response["content-range"]).to eq("bytes 0-9/10")
    end
  end

  # Each example has a file of its own, because what was found of a file holds for a second.
  describe "while they are sent" do
    def begin_response(peer, name)
      File.binwrite("#{@folder}/#{name}", "x" * 30_000_000)
      peer.write(Support::Server.get("/#{name}"))
      expect(peer.read_head["content-length"]).to eq("30000000")
    end

    it "end the connection when they are cut off" do
      server.connect do |peer|
        begin_response(peer, "cut.bin")
        File.truncate("#{@folder}/cut.bin", 1000)
        expect(peer.read_to_end.bytesize).to be < 30_000_000
      end
      server.wait_for_log(/WARNING: a file became shorter while it was sent/)
      expect(server.get("/a.txt").status).to eq(200)
    end

    it "stay what they were when they are replaced" do
      server.connect do |peer|
        begin_response(peer, "replaced.bin")
        File.binwrite("#{@folder}/new.bin", "y" * 30_000_000)
        File.rename("#{@folder}/new.bin", "#{@folder}/replaced.bin")
        expect(peer.read(30_000_000).count("x")).to eq(30_000_000)
      end
    end
  end
end
