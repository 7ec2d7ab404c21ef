# frozen_string_literal: true

# A configuration file that restarts the workers once a day (or each RESTART_SECONDS), one after the other and without
# a failed request:
#
#     bin/serve examples/hello.ru -w 2 -C examples/hot_restart.rb
#
# An application that leaks does so for a day at most. With -reload the new workers have the code of that day.

seconds = Integer(ENV.fetch("RESTART_SECONDS", 24 * 3600))

# It runs in every process. Only the master has workers to restart; a process without workers ignores the signal.
Iodine.run_every(seconds * 1000) { Process.kill(:USR1, Process.pid) if Iodine.master? }
