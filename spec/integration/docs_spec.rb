# frozen_string_literal: true

require "net/http"
require "openssl"
require "ripper"

# The blocks of code in README and docs/, as a reader would run them. Support::Snippet says how they are marked.
RSpec.describe "The documents" do
  # A folder with the files that the snippets name.
  around do |example|
    Dir.mktmpdir("iodine-docs") do |folder|
      FileUtils.cp_r("#{Support::ROOT}/spec/apps/docs/.", folder)
      write_certificates(folder)
      @folder = folder
      example.run
    end
  end

  def write_certificates(folder)
    root = Support::Authority.new
    own = root.issue("example.com", "localhost")
    File.write("#{folder}/authorities.pem", root.certificate.to_pem)
    File.write("#{folder}/our-authority.pem", root.certificate.to_pem)
    { "chain.pem" => own.pem, "me.pem" => own.pem, "key.pem" => own.key.private_to_pem }.each do |name, text|
      File.write("#{folder}/#{name}", text)
    end
  end

  # As it is written, but for the port: that may be taken on this machine.
  def write(snippet, name, code = snippet.code)
    path = File.join(@folder, name)
    File.write(path, code.gsub(/\bport: \d+/, "port: 0"))
    path
  end

  def ruby(path, env: {})
    Support::ChildProcess.new(RbConfig.ruby, "-I#{Support::ROOT}/lib", "-e", "$stdout.sync = true; load ARGV.shift",
                              path, chdir: @folder, env: env)
  end

  def answer(server, path, tls: false)
    Net::HTTP.start("127.0.0.1", server.port, use_ssl: tls, verify_mode: OpenSSL::SSL::VERIFY_NONE) do |client|
      client.get(path).body
    end
  end

  def expect_answers(server, snippet, tls: false)
    snippet.expectations.each { |path, words| expect(answer(server, path, tls: tls)).to include(words.to_s) }
    expect(server.stop).to be_success
  ensure
    server&.stop
  end

  def run_to_the_end(snippet)
    redis = Support::RedisServer.new if snippet.code.include?("REDIS_URL")
    process = ruby(write(snippet, "snippet.rb", "require \"iodine\"\n#{snippet.checked_code}"),
                   env: { "REDIS_URL" => redis&.url })
    expect(process.wait(within: 30)).to be_success, process.log.text
  ensure
    process&.kill_group
    redis&.stop
  end

  def run_until_printed(snippet)
    process = ruby(write(snippet, "snippet.rb"))
    snippet.expectations.each do |words|
      wait_until("#{words} in what it prints", within: 30) do
        [process.out, process.log].any? { |output| output.text.include?(words) }
      end
    end
    expect(process.stop).to be_success
  ensure
    process&.kill_group
  end

  def serve(snippet)
    path = write(snippet, snippet.rackup? ? "config.ru" : "snippet.rb")
    command = snippet.rackup? ? [command_file, *anywhere, path] : [path]
    Support::Server.new([RbConfig.ruby, "-I#{Support::ROOT}/lib", *command], chdir: @folder)
  end

  def command_file = "#{Support::ROOT}/exe/iodine"
  def anywhere = %w[-b 127.0.0.1 -p 0]

  # Each line is a server of its own: `iodine ...`, behind `bundle exec` or not. The last of repeated flags counts.
  def serve_each_line(snippet)
    lines = snippet.code.lines.map { |line| line.sub(/#.*/, "").split }.reject(&:empty?)
    lines.each do |words|
      words.shift(2) if words.first(2) == %w[bundle exec]
      expect(words.shift).to eq("iodine")
      server = Support::Server.new([RbConfig.ruby, "-I#{Support::ROOT}/lib", command_file, *words, *anywhere],
                                   chdir: @folder)
      expect_answers(server, snippet, tls: words.any?(/\A-tls/))
    end
  end

  Support::Snippet.documents.each do |document|
    describe document do
      Support::Snippet.in(document).each do |snippet|
        case [snippet.language, snippet.kind]
        when ["ruby", :run]
          it("runs #{snippet.place}") { run_to_the_end(snippet) }
        when ["ruby", :prints]
          it("runs #{snippet.place} until it prints something") { run_until_printed(snippet) }
        when ["ruby", :serves]
          it("is answered by #{snippet.place}") { expect_answers(serve(snippet), snippet) }
        when ["sh", :serves]
          it("is answered by each command of #{snippet.place}") { serve_each_line(snippet) }
        when ["sh", :session]
          # It needs ports that may be taken here.
          next
        else
          it("can try #{snippet.place}") { raise "no way to try a block of #{snippet.language} marked #{snippet.kind}" }
        end
      end

      blocks = Support::Snippet.text(document).scan(Support::Snippet::FENCED).flatten
      next if blocks.empty?

      it "has no Ruby that cannot be read" do
        expect(blocks.select { |code| Ripper.sexp(code).nil? }).to be_empty
      end
    end
  end

  it "are tried" do
    marked = Support::Snippet.documents.flat_map { |document| Support::Snippet.in(document) }
    written = Support::Snippet.documents.sum { |document| Support::Snippet.text(document).scan(/^<!-- /).size }
    expect(marked.size).to be >= 20
    expect(written).to eq(marked.size), "a mark without a block below it, or one that is misspelt"
  end
end
