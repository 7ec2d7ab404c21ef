# frozen_string_literal: true

# Answers with the environment as Ruby marshals it: plain values as they are, other objects by the name of their class.
plain = lambda do |value|
  case value
  when String, Symbol, Integer, nil, true, false then value
  when Array then value.map(&plain)
  else "an #{value.class}"
  end
end

# Applications asked for by path; any other path shows the environment.
input = {
  "/read" => ->(io) { [io.read, io.read, io.read(1), io.read(0)] },
  "/read-sizes" => ->(io) { [io.read(0), io.read(3), io.read(3), io.read(100), io.read(1), io.read] },
  "/read-nil" => ->(io) { [io.read(nil), io.read(nil, nil)] },
  "/read-buffer" => lambda do |io|
    buffer = +"old content"
    same = io.read(4, buffer).equal?(buffer)
    first = buffer.dup
    rest = io.read(nil, buffer).dup
    [same, first, rest, io.read(4, buffer)]
  end,
  "/read-three" => ->(io) { begin io.read(1, +"", 2) rescue [$!.class.name, io.read] end },
  "/read-negative" => ->(io) { begin io.read(-1) rescue [$!.class.name, io.read] end },
  "/gets" => ->(io) { [io.gets, io.gets, io.gets, io.gets] },
  "/each" => lambda do |io|
    lines = []
    again = []
    result = io.each { |line| lines << line }
    io.each { |line| again << line }
    [lines, again, result.equal?(io)]
  end,
  "/rewind" => ->(io) { [io.read(2), io.rewind, io.read, io.rewind, io.read(1)] },
  "/size" => ->(io) { [io.size, io.read(1), io.size] },
  "/close" => ->(io) { [io.read(1), io.close, begin io.read rescue "" end] },
  "/encoding" => ->(io) { [io.read(2).encoding.name, io.gets.encoding.name, io.read.encoding.name, io.read.encoding.name] },
  "/mixed" => ->(io) { [io.gets, io.read(2), io.gets, io.read] }
}

run(lambda do |env|
  if env["PATH_INFO"] == "/mutate"
    env["spec.marker"] = "of another request"
    env["QUERY_STRING"] = "changed"
    env.delete("SERVER_NAME")
  end
  probe = input[env["PATH_INFO"]]
  answer = probe ? probe.call(env["rack.input"]) : env.transform_values(&plain)
  [200, { "content-type" => "application/octet-stream" }, [Marshal.dump(answer)]]
end)
