# frozen_string_literal: true

require_relative "config/environment"

# `rails server` has no flags for these. The live stream and its release must meet in one process.
Iodine.workers = 1 if Iodine.workers.zero?
Iodine.threads = 5 if Iodine.threads.zero?

run Rails.application
