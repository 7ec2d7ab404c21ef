# frozen_string_literal: true

# Loads the compiled extension: first the one a precompiled gem carries for this version of Ruby, then the one built
# on this machine. A library that is found but does not load raises its own error.
found = ["iodine/#{RUBY_VERSION[/\d+\.\d+/]}/iodine_ext", "iodine/iodine_ext"].any? do |library|
  require library
  true
rescue LoadError => e
  raise unless e.path == library
end

unless found
  raise LoadError, "iodine's native extension is not built for Ruby #{RUBY_VERSION}: " \
                   "run `rake compile` in a checkout of iodine, or `gem pristine iodine` for an installed gem"
end
