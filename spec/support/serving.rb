# frozen_string_literal: true

module Support
  # Example group macros: one server for all examples of a group.
  module Serving
    # Starts the command with +app+ (see Server.rackup) before the group and stops it after.
    def serve(app, *flags, **options)
      serving { Server.rackup(app, *flags, **options) }
    end

    # Starts a script (see Server.script) before the group and stops it after.
    def serve_script(source, *arguments, **options)
      serving { Server.script(source, *arguments, **options) }
    end

    # Starts what the block returns before the group and stops it after.
    def serving(&start)
      before(:all) { @server = instance_exec(&start) }
      after(:all) { @server&.stop }
      attr_reader :server

      # A failure shows what the server said.
      after do |example|
        example.metadata[:extra_failure_lines] = @server.log.lines.last(25) if example.exception && @server
      end
    end
  end
end
