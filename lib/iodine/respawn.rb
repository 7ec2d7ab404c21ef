# frozen_string_literal: true

module Iodine
  module Base
    # Workers die as soon as they are started, and none lives: the server has ended.
    class CrashLoop < RuntimeError; end

    # When a worker that died is replaced: at once; after pauses that grow when the workers in its place die young;
    # never when it is hopeless.
    module Respawn
      # A worker that dies younger than this, in seconds, has died young.
      YOUNG = 2
      # The first and the longest pause, in seconds. Each is twice the one before.
      PAUSES = (0.25..8.0)
      # So many deaths in a row, with no worker that lives, are a crash loop.
      LOOP = 7
      # What is said then.
      HOPELESS = "the workers die as soon as they are started, #{LOOP} in a row did: see the errors above. " \
                 "The server gives up.".freeze

      module_function

      # Deaths in a row, with this one.
      def deaths(worker) = worker.age < YOUNG ? worker.deaths + 1 : 0

      # Seconds to wait.
      def pause(deaths)
        # One early death may be chance, or somebody's wish.
        deaths <= 1 ? 0 : (PAUSES.min * (2**(deaths - 2))).clamp(PAUSES)
      end

      # Whether another one would die as well. +workers+ are those that live.
      def hopeless?(deaths, workers) = deaths >= LOOP && workers.none? { |worker| worker.age >= YOUNG }
    end
  end
end
