# frozen_string_literal: true

module Iodine
  # The gem's version. It answers `gem "iodine", "~> 0.7"`, because the public API is that of iodine 0.7.
  VERSION = "0.9.0"
end
