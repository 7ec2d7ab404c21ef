# frozen_string_literal: true

# Threads and workers of iodine by the variables that Rails applications are deployed with. To be copied to
# config/initializers/iodine.rb.
#
# RAILS_MAX_THREADS is the number of threads a worker, as large as the connection pool of config/database.yml, and
# WEB_CONCURRENCY the number of workers. What the command line says (`iodine -t 5 -w 2`) counts more than both.
if defined?(Iodine)
  Iodine.threads = Integer(ENV.fetch("RAILS_MAX_THREADS", 3)) if Iodine.threads.zero?
  Iodine.workers = Integer(ENV.fetch("WEB_CONCURRENCY", 1)) if Iodine.workers.zero?
end
