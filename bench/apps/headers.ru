# frozen_string_literal: true

# An answer with the 20 headers of a page behind a few middlewares.
fixed = {
  "content-type" => "text/html; charset=utf-8",
  "content-length" => "11",
  "cache-control" => "max-age=0, private, must-revalidate",
  "content-language" => "en-GB",
  "content-security-policy" => "default-src 'self'; img-src 'self' data:; object-src 'none'",
  "cross-origin-opener-policy" => "same-origin",
  "cross-origin-resource-policy" => "same-origin",
  "etag" => 'W/"6d82cbb050ddc7fa9cbb659014546e59"',
  "last-modified" => "Sun, 06 Nov 1994 08:49:37 GMT",
  "link" => "</assets/application.css>; rel=preload; as=style; nopush",
  "permissions-policy" => "camera=(), geolocation=(), microphone=()",
  "referrer-policy" => "strict-origin-when-cross-origin",
  "set-cookie" => "session=7b3f1c5e9a2d4f60; path=/; HttpOnly; SameSite=Lax",
  "strict-transport-security" => "max-age=63072000; includeSubDomains",
  "vary" => "Accept, Accept-Encoding",
  "x-content-type-options" => "nosniff",
  "x-frame-options" => "SAMEORIGIN",
  "x-permitted-cross-domain-policies" => "none",
  "x-request-id" => "4f0c2a9e-5d0b-4a53-9e1c-0a7d2f6b8c31",
  "x-runtime" => "0.001234"
}.freeze

run ->(_env) { [200, fixed.dup, ["hello world"]] }
