# frozen_string_literal: true

# Required by servers under test, by Support::Collector: from the moment a process serves, its garbage collector works
# as the variable says. Before, it would do so for the application's code, whose loading takes as long without telling
# anything about the server.

MODES = {
  # A full collection for each allocation: what is not marked is gone at once.
  "stress" => -> { GC.stress = true },
  # A collection of young objects for each allocation: what a write barrier should have told of is gone.
  "young" => -> { GC.stress = 1 },
  # A full collection for each allocation, in which all objects move that may.
  "compact" => lambda do
    GC.verify_compaction_references(toward: :empty)
    GC.auto_compact = true
    GC.stress = true
  end
}.freeze

begin
  require "iodine"
rescue LoadError
  # A program of another kind.
else
  Iodine.on_state(:on_start, &MODES.fetch(ENV.fetch("IODINE_COLLECTOR")))
end
