# frozen_string_literal: true

# Ruby's warnings of every kind that it knows, wherever their place is in this checkout.
RSpec.describe "The warnings of Ruby" do
  categories = %w[deprecated experimental performance].select do |category|
    Warning[category.to_sym].then { true }
  rescue ArgumentError
    false
  end
  env = { "RUBYOPT" => ["-W2", *categories.map { |category| "-W:#{category}" }].join(" ") }
  checkout = %r{^#{Regexp.escape(Support::ROOT)}/(?!target/).*warning: .*}

  # What Ruby says of files when it compiles them, in one process.
  compile = lambda do |files|
    source = "ARGV.each { |file| RubyVM::InstructionSequence.compile_file(file) }"
    Support::ChildProcess.run_ruby(source, *files, within: 60, env: env)
  end

  def root(pattern) = Dir.glob(File.join(Support::ROOT, pattern))

  it "are not raised by any file as it is written" do
    files = root("{lib,exe,ext,spec,bench,bin,examples,rakelib}/**/*.{rb,ru,rake}") + root("exe/*") + root("*.gemspec")
    expect(files.size).to be > 200

    process = compile.call(files)
    expect(process.wait).to be_success, process.log.text
    expect(process.log.text.scan(checkout)).to eq([])
  end

  it "would be seen" do
    Dir.mktmpdir do |folder|
      path = File.join(folder, "planted.rb")
      File.write(path, "def planted\n  unused = 1\nend\n")
      expect(compile.call([path]).log.text).to match(/planted.rb:2: warning: /)
    end
  end

  it "are not raised by any file of the library when it is loaded" do
    files = root("lib/**/*.rb").map { |path| path.delete_prefix("#{Support::ROOT}/lib/").delete_suffix(".rb") }
    # Rackup comes with Rack 3.
    files.reject! { |name| name.start_with?("rackup/") && Gem::Specification.find_all_by_name("rackup").empty? }
    source = "require 'iodine'; ARGV.each { |name| require name }; puts 'loaded'"
    process = Support::ChildProcess.run_ruby(source, *files, within: 60, env: env)
    expect(process.out.text).to eq("loaded\n"), process.log.text
    expect(process.log.text.scan(checkout)).to eq([])
  end

  it "are not raised by the specs when they are loaded" do
    command = [RbConfig.ruby, "-S", "rspec", "--dry-run"]
    process = Support::ChildProcess.new(*command, chdir: Support::ROOT, env: env)
    expect(process.wait(within: 60)).to be_success, process.log.text
    expect(process.out.text).to match(/^[1-9]\d* examples, 0 failures/)
    expect(process.log.text.scan(checkout)).to eq([])
  end

  it "are not raised by a server" do
    server = Support::Tour.start(env: env)
    Support::Tour.new(server).run
    expect(server.stop).to be_success
    expect(server.log.scan(checkout)).to eq([])
  end

  it "are not raised by the command, alone and with workers" do
    app = %(run(->(env) { [200, {}, [warn("app: warning: as told").to_s]] }))
    [1, 2].each do |workers|
      server = Support::Server.rackup(app, workers: workers, env: env)
      expect(server.get("/").status).to eq(200)
      expect(server.stop).to be_success
      expect(server.log).to include("app: warning: as told")
      expect(server.log.scan(checkout)).to eq([])
    end
  end
end
