# frozen_string_literal: true

# An application on nothing but Rack, as routing trees such as Roda make them.
RSpec.describe "A bare Rack application" do
  { "one process" => { threads: 4 }, "two workers" => { workers: 2, threads: 2 } }.each do |name, options|
    describe "in #{name}" do
      serve "tree.ru", **options

      it "routes" do
        bodies = %w[/ /notes /notes/12].map { |path| server.get(path).body }
        expect(bodies).to eq(["the root", "all notes", "note 12"])
        expect(%w[/nowhere /notes/x/y].map { |path| server.get(path).status }).to eq([404, 200])
      end

      it "reads forms and queries" do
        form = Support::Server.post("/notes", "a=1&b[]=2", "Content-Type: application/x-www-form-urlencoded")
        expect(server.request(form).body).to match(/POST \{"a" ?=> ?"1", "b" ?=> ?\["2"\]\}/)
        expect(server.get("/json?q=%C3%A9+x").body).to eq('{"q":"é x"}'.b)
      end

      it "keeps a session" do
        cookie = nil
        counts = Array.new(3) do
          response = server.get("/session", *("Cookie: #{cookie}" if cookie))
          cookie = response.all("set-cookie").first[/\A[^;]+/]
          response.body
        end
        expect(counts).to eq(%w[1 2 3])
      end

      it "answers conditions and HEAD by Rack's middleware" do
        tag = server.get("/notes")["etag"]
        expect(server.get("/notes", "If-None-Match: #{tag}")).to have_attributes(status: 304, body: "")
        expect(server.request("HEAD /notes HTTP/1.1\r\nHost: a.test\r\n\r\n"))
          .to have_attributes(status: 200, body: "")
      end

      it "answers its errors" do
        expect(server.get("/error")).to have_attributes(status: 500, body: "raised in the tree")
      end
    end
  end
end
