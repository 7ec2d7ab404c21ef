run ->(_env) { [200, { "content-type" => "text/plain" }, ["the application\n"]] }
