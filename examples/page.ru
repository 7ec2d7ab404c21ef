# frozen_string_literal: true

# A page from a Mustache template, which is compiled once for all threads. What a visitor sends is escaped.
#
#     bin/serve examples/page.ru
#     curl -H "X-Name: <b>" http://localhost:3000/

TEMPLATE = Iodine::Mustache.new(filename: File.join(__dir__, "page"))

run(lambda { |env|
  fields = env.filter_map do |key, value|
    { name: key.delete_prefix("HTTP_"), value: value } if key.start_with?("HTTP_X")
  end
  page = TEMPLATE.render(title: "Your fields", fields: fields)
  [200, { "content-type" => "text/html; charset=utf-8" }, [page]]
})
