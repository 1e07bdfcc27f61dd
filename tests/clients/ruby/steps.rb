# What the programs share: where to connect to, and the loop over the steps of README.md, which has the reason for the
# timeout.

OPTIONS = { host: ENV.fetch("REDIS_HOST"), port: ENV.fetch("REDIS_PORT").to_i, timeout: 60 }
OPTIONS[:username] = ENV["REDIS_USERNAME"] if ENV["REDIS_USERNAME"]
OPTIONS[:password] = ENV["REDIS_PASSWORD"] if ENV["REDIS_PASSWORD"]
OPTIONS[:protocol] = ENV["REDIS_PROTOCOL"].to_i if ENV["REDIS_PROTOCOL"]
OPTIONS.update(ssl: true, ssl_params: { ca_file: ENV["REDIS_CA_FILE"] }) if ENV["REDIS_CA_FILE"]

# A hundred in turn in each of ten threads at the same time.
def draw_tenfold(&draw)
  Array.new(10) { Thread.new { Array.new(100, &draw) } }.flat_map(&:value)
end

def answer(driver, step)
  ["ok", *driver.public_send(step)].join(" ")
rescue StandardError => error
  "error #{error.class}: #{error.message}".tr("\n", " ")
end

def run(driver)
  $stdout.sync = true
  $stdin.each_line(chomp: true) { |step| puts answer(driver, step) }
end
