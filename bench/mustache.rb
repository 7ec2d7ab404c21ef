# frozen_string_literal: true

# Iodine::Mustache beside the mustache gem and ERB: `ruby bench/mustache.rb`. Each pair takes turns, and the medians of
# the turns are compared, so that a busy machine slows both.

$LOAD_PATH.unshift File.expand_path("../lib", __dir__)

require "erb"
require "iodine"
require "mustache"
require_relative "lib/bench/duel"

MUSTACHE_PAGE = <<~HTML
  <h1>{{title}}</h1>
  <table>
    {{#rows}}
    <tr class="{{class}}">
      <td>{{number}}</td>
      <td><a href="/people/{{person.id}}">{{person.name}}</a></td>
      <td>{{#active}}yes{{/active}}{{^active}}no{{/active}}</td>
      <td>{{note}}</td>
    </tr>
    {{/rows}}
  </table>
HTML

ERB_PAGE = <<~HTML
  <h1><%= h data[:title] %></h1>
  <table>
    <%- data[:rows].each do |row| -%>
    <tr class="<%= h row[:class] %>">
      <td><%= h row[:number] %></td>
      <td><a href="/people/<%= h row[:person][:id] %>"><%= h row[:person][:name] %></a></td>
      <td><% if row[:active] %>yes<% else %>no<% end %></td>
      <td><%= h row[:note] %></td>
    </tr>
    <%- end -%>
  </table>
HTML

# A page of as many rows.
def data(rows)
  rows = Array.new(rows) do |number|
    { class: number.even? ? "even" : "odd", number: number, active: (number % 3).zero?,
      person: { id: number * 7, name: "Ada & Grace <#{number}>" },
      note: "a longer note without anything that HTML would take for markup, as most text is" }
  end
  { title: "People", rows: rows }
end

view = Class.new { include ERB::Util }
ERB.new(ERB_PAGE, trim_mode: "-").def_method(view, "render(data)", "page.erb")
gem_view = Class.new(Mustache) { self.template = MUSTACHE_PAGE }

iodine = Iodine::Mustache.new(template: MUSTACHE_PAGE).method(:render)
others = { "mustache" => gem_view.method(:render), "ERB" => view.new.method(:render) }
inputs = { "10 rows" => data(10), "1,000 rows" => data(1_000) }

others.each do |name, other|
  inputs.each_value { |input| abort "#{name} renders another page" if other.call(input) != iodine.call(input) }
  Bench::Duel.report("iodine beside #{name}", inputs, { name => other, "iodine" => iodine })
end
