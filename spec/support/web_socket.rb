# frozen_string_literal: true

require "digest"

module Support
  # The client end of a WebSocket (RFC 6455) on a RawHTTP peer: sends frames exactly as told, reads them to the letter.
  class WebSocket
    # A frame of the server; +opcode+ is a Symbol.
    Frame = Struct.new(:opcode, :payload, :final, keyword_init: true) do
      # The code of a close frame, nil when it is empty.
      def code = payload.unpack1("n")
      def reason = payload.byteslice(2..)
    end

    OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 }.freeze
    KEY = "dGhlIHNhbXBsZSBub25jZQ=="
    ACCEPT = Digest::SHA1.base64digest("#{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
    FIELDS = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
              "Sec-WebSocket-Key: #{KEY}"].freeze

    # The bytes of an opening handshake.
    def self.handshake(target = "/", *fields) = Server.get(target, *FIELDS, *fields)

    # The bytes of a frame. +mask+ is four bytes, or nil for none; +first+ overrides the first byte.
    def self.frame(opcode, payload = "", final: true, mask: "\x12\x34\x56\x78", first: nil)
      payload = payload.b
      first ||= (final ? 0x80 : 0) | OPCODES.fetch(opcode)
      bit = mask ? 0x80 : 0
      head = case payload.bytesize
             when 0..125 then [first, payload.bytesize | bit].pack("CC")
             when 126..65_535 then [first, 126 | bit, payload.bytesize].pack("CCn")
             else [first, 127 | bit, payload.bytesize].pack("CCQ>")
             end
      return head << payload unless mask

      mask = mask.b
      head << mask << payload.bytes.each_with_index.map { |byte, at| byte ^ mask.getbyte(at % 4) }.pack("C*")
    end

    # Reads one frame of a client, which must be masked, from a peer.
    def self.read_masked(peer)
      first, second = peer.read(2).unpack("CC")
      raise RawHTTP::MalformedError, "not masked, or long" unless second.between?(128, 253)

      mask = peer.read(4).bytes
      payload = peer.read(second - 128).bytes.each_with_index.map { |byte, at| byte ^ mask[at % 4] }.pack("C*")
      Frame.new(opcode: OPCODES.key(first & 15), payload: payload, final: first > 127)
    end

    # The payload of a close frame.
    def self.closing(code, reason = "") = [code].pack("n") << reason.b

    attr_reader :peer, :head

    # Sends the handshake, with +behind+ in the same packet, and reads the answer.
    def initialize(peer, target = "/", *fields, behind: "", within: Waiting::DEADLINE)
      @peer = peer
      peer.write(self.class.handshake(target, *fields).b << behind)
      @head = peer.read_head(within: within)
    end

    def send_frame(...) = peer.write(self.class.frame(...))
    def text(string) = send_frame(:text, string)

    # Reads one frame. Raises when the server masks it.
    def read_frame(within: Waiting::DEADLINE)
      first, second = peer.read(2, within: within).unpack("CC")
      raise RawHTTP::MalformedError, "masked, or reserved bits" if second > 127 || first & 0x70 != 0

      length = { 126 => [2, "n"], 127 => [8, "Q>"] }[second]
      size = length ? peer.read(length[0], within: within).unpack1(length[1]) : second
      Frame.new(opcode: OPCODES.key(first & 15), payload: peer.read(size, within: within), final: first > 127)
    end

    # The payload of the next frame, which must be a message.
    def read_message(within: Waiting::DEADLINE)
      frame = read_frame(within: within)
      raise RawHTTP::MalformedError, frame.inspect unless %i[text binary].include?(frame.opcode)

      frame.payload
    end

    # Closes by a handshake.
    def close(code = 1000)
      send_frame(:close, self.class.closing(code))
      read_frame
    end
  end
end
