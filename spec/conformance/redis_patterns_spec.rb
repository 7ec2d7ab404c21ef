# frozen_string_literal: true

# Patterns of subscriptions are those of Redis: both are subscribed to each pattern, both are published each name, and
# the same patterns get it.
RSpec.describe "Patterns, as Redis has them" do
  include Support::RemoteRuby

  before(:all) { @redis = Support::RedisServer.new }
  after(:all) { @redis.stop }
  attr_reader :redis

  serving { Support::Server.rackup("pubsub.ru") }

  # Few bytes, so that things meet.
  alphabet = ["a", "b", "c", "-", "]", "[", "^", "\\", "*", "?", "\xff".b]
  patterns = ["", "*", "?", "**", "a*b", "*a", "a?c", "[abc]", "[a-c]", "[c-a]", "[^a]", "[^a-b]c", "[]", "[]a]", "[^]",
              "[^]a]", "[a", "[", "[^", "[a-", "[a-]", "[-a]", "[a\\]b]", "[\\]", "\\*", "\\", "a\\", "\\\\",
              "\\a", "\\?b",
              "[\\-a]", "[a-\\c]", "[a]]", "a[b]c*", "*[ab]", "*\\", "[\\", "[^\\", "[a-c-a]", "[*]", "[?]", "*a*b*c*",
              "[\xfe-\xff]".b, "\xff".b, "a]", "]", "-", "^", "[^^]", "[^-]", "***a", "a**"]
  names = ["", *alphabet, "aa", "ab", "abc", "acb", "a-c", "a]", "]a", "[a", "a\\", "\\a", "*a", "a*", "?b",
           "aaabbbccc", "cba", "bc", "a]]", "[]", "^a", "a[b]c", "\\\\", "-]", "[^]", "\\*"]
  random = Random.new(20_260_101)
  text = ->(most) { Array.new(random.rand(0..most)) { alphabet.sample(random: random).b }.join }

  hex = ->(bytes) { bytes.unpack1("H*") }

  # The patterns that get a message published to +name+.
  def by_redis(listener, name)
    count = redis.publish(name, "")
    Array.new(count) { listener.read[1] }
  end

  def by_iodine(socket, name)
    socket.text("$got = []; Iodine.publish([#{name.unpack1("H*").inspect}].pack('H*'), ''); " \
                "Iodine.publish('every pattern', 'has been asked'); :silent")
    socket.read_message.split(",").map { |pattern| [pattern[1..]].pack("H*") }.sort
  end

  it "get the messages of the same channels" do
    all = (patterns + Array.new(400) { text.call(6) }).map(&:b).uniq
    listener = redis.connect
    all.each { |pattern| listener.call("PSUBSCRIBE", pattern) }
    remote do |socket|
      all.each do |pattern|
        ask(socket, "client.subscribe([#{hex.call(pattern).inspect}].pack('H*'), match: :redis) do |name, _|
                       $got << 'x#{hex.call(pattern)}' unless name == 'every pattern'
                     end")
      end
      ask(socket, "client.subscribe('every pattern') { client.write($got.join(',')) }")
      (names + Array.new(100) { text.call(8) }).each do |name|
        expect([name, by_iodine(socket, name)]).to eq([name, by_redis(listener, name).sort])
      end
    end
  ensure
    listener&.close
  end
end
