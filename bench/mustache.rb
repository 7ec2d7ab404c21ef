# frozen_string_literal: true

# Renders a page of 1,000 rows with Iodine::Mustache, the mustache gem (Debian's ruby-mustache) and ERB, in turns, and
# prints medians, ratios and whether iodine reaches its bars. bench/mustache.rb [rounds]
$LOAD_PATH.unshift File.expand_path("../lib", __dir__)

require "erb"
require "iodine"
require "mustache"

# The same page in each language.
module Page
  MUSTACHE = <<~HTML
    <!DOCTYPE html>
    <title>{{title}}</title>
    <table>
    {{#rows}}
      <tr class="{{#overdue}}overdue{{/overdue}}{{^overdue}}paid{{/overdue}}">
        <td>{{id}}</td><td>{{customer.name}}</td><td>{{{note}}}</td><td>{{amount}}</td>
      </tr>
    {{/rows}}
    </table>
  HTML

  ERB_SOURCE = <<~HTML
    <!DOCTYPE html>
    <title><%= h data[:title] %></title>
    <table>
    <%- data[:rows].each do |row| -%>
      <tr class="<% if row[:overdue] %>overdue<% else %>paid<% end %>">
        <td><%= h row[:id] %></td><td><%= h row[:customer][:name] %></td><td><%= row[:note] %></td><td><%= h row[:amount] %></td>
      </tr>
    <%- end -%>
    </table>
  HTML

  ROWS = Array.new(1000) do |index|
    { id: index, overdue: (index % 3).zero?, customer: { name: "Ampère & <Söhne> No. #{index}" },
      note: "<em>note #{index}</em>", amount: "#{index * 7}.50 EUR" }
  end
  DATA = { title: "Invoices", rows: ROWS }.freeze

  # What ERB's template runs in.
  class View
    include ERB::Util

    class_eval "def render(data) = begin; #{ERB.new(ERB_SOURCE, trim_mode: "-").src}; end", __FILE__, __LINE__
  end

  def self.renderers
    iodine = Iodine::Mustache.new(template: MUSTACHE)
    gem = Mustache::Template.new(MUSTACHE)
    context = Class.new(Mustache)
    context.template = MUSTACHE
    view = View.new
    gem.tokens
    { "iodine" => -> { iodine.render(DATA) }, "mustache gem" => -> { context.render(DATA) },
      "ERB" => -> { view.render(DATA) } }
  end
end

# Median microseconds a page of each renderer.
module Stopwatch
  ROUND = 0.2

  module_function

  def medians(renderers, rounds)
    times = renderers.transform_values { [] }
    rounds.times { renderers.each { |name, renderer| times[name] << microseconds(renderer) } }
    times.transform_values { |list| list.sort[list.size / 2] }
  end

  def microseconds(renderer)
    pages = 0
    start = now
    renderer.call and pages += 1 while now - start < ROUND
    (now - start) / pages * 1e6
  end

  # Processor time: other programs of the machine do not count.
  def now = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
end

renderers = Page.renderers
pages = renderers.transform_values { |renderer| renderer.call.gsub("&#39;", "'") }
abort "the pages differ" if pages.values.uniq.size > 1

medians = Stopwatch.medians(renderers, Integer(ARGV.fetch(0, 9)))
medians.each do |name, time|
  puts format("%-13s %9.0f us a page of %d bytes, %5.1f x iodine", name, time, pages[name].bytesize,
              time / medians["iodine"])
end
{ "mustache gem" => 20, "ERB" => 1 }.each do |name, bar|
  ratio = medians[name] / medians["iodine"]
  puts format("%s: %s x faster than %s (%.1f)", ratio >= bar ? "pass" : "miss", bar, name, ratio)
end
