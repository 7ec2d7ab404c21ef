# frozen_string_literal: true

# Plays the client of the Autobahn cases: sends every message back. Argument: the address of the fuzzing server.
require "iodine"

SERVER = "ws://#{ARGV.fetch(0)}"
LANES = 4
OPTIONS = { deflate: true, deflate_min: 1, max_msg: 16 << 10, max_pending: 64 }.freeze

# Asks how many cases there are.
module Count
  def self.on_message(_client, data) = Cases.count = data.to_i
  def self.on_close(_client) = Cases.begin
end

# One case.
module Case
  def self.on_message(client, data) = client.write(data)
  def self.on_close(_client) = Cases.next
end

# The end: the server writes its reports.
module Report
  def self.on_close(_client) = Iodine.stop
end

# What is left to be done. There is one thread.
module Cases
  class << self
    attr_writer :count

    def begin
      @begun = @ended = 0
      @count ? LANES.times { start } : abort("the fuzzing server does not answer")
    end

    def next
      @ended += 1
      @ended == @count ? connect("/updateReports?agent=iodine", Report) : start
    end

    def connect(path, handler) = Iodine.connect(url: SERVER + path, handler: handler, **OPTIONS)

    private

    def start
      return if @begun == @count

      @begun += 1
      connect("/runCase?case=#{@begun}&agent=iodine", Case)
    end
  end
end

Iodine.threads = Iodine.workers = 1
Cases.connect("/getCaseCount", Count)
Iodine.start
