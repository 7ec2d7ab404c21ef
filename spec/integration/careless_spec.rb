# frozen_string_literal: true

RSpec.describe "Careless handlers of raw connections" do
  names = %i[echo closes late relay clings unanswerable throws exits killed changes integer attaches deaf connects
             stubborn]
  answers = {
    echo: "hello", closes: "bye", late: "hello", relay: "relayedhello", clings: "let gohello", unanswerable: "",
    throws: "", exits: "", killed: "", changes: "z" * 100_000, integer: "", attaches: "twice",
    stubborn: "first opened first closed first opened "
  }

  { "" => {}, " while the collector runs all the time" => { "STRESS" => "1" } }.each do |circumstances, env|
    describe "harm nobody#{circumstances}:" do
      serving { Support::Server.script("careless.rb", listeners: names.size + 2, env: env) }

      wait = env.empty? ? 10 : 30

      define_method(:open_raw) do |name, &block|
        server.connect(port: server.ports.fetch(names.index(name)), &block)
      end

      answers.each do |name, answer|
        it "#{name} is served" do
          open_raw(name) do |peer|
            peer.write("hello").close_write
            expect(peer.read_to_end(within: wait)).to eq(answer)
          end
          open_raw(:echo) { |peer| expect(peer.write("alive").read(5, within: wait)).to eq("alive") }
        end
      end

      it "a connection from within a callback is opened" do
        open_raw(:connects) { |peer| expect(peer.write("go").read(6, within: wait)).to eq("inside") }
      end

      it "a client is closed at once for who closes it, and can be given to nobody after its end" do
        %i[closes late].each { |name| open_raw(name) { |peer| peer.close_write && peer.read_to_end(within: wait) } }
        server.wait_for_log(/^closes nil false false -1$/, within: wait)
        server.wait_for_log(/^late handler HandsOverLate$/, within: wait)
      end

      it "no message is told after close, even if it has come before" do
        server.connect(path: server.paths.fetch(1)) do |peer|
          peer.write("wait")
          server.wait_for_log(/^deaf hears wait$/, within: wait)
          peer.write("unheard").wait_until_read
          open_raw(:deaf) { |other| other.write("release") && server.wait_for_log(/deaf hears release/, within: wait) }
          expect(peer.read_to_end(within: wait)).to eq("")
        end
        server.wait_for_log(/^Deaf closed$/, within: wait)
        expect(server.log).not_to include("unheard")
      end
    end
  end
end
