# redis-rb, over redis-client.

require "redis"
require "connection_pool"
require_relative "steps"

class RedisRb
  def connect
    @redis&.close
    @redis = Redis.new(**OPTIONS)
    nil
  end

  def ping = @redis.ping

  def incr = @redis.incr("orders")

  def pipeline = @redis.pipelined { |queue| 1_000.times { queue.incr("orders") } }

  def transaction = @redis.multi { |queue| 10.times { queue.incr("orders") } }

  def block = @redis.incrby("orders", 100)

  def string = @redis.call("ID.NEXT", "AS", "STRING")

  def pool
    pool = ConnectionPool.new(size: 10) { Redis.new(**OPTIONS) }
    draw_tenfold { pool.with { |redis| redis.incr("orders") } }
  ensure
    pool.shutdown(&:close)
  end

  def idle
    first = incr
    sleep 2
    [first, incr]
  end

  def close
    @redis.close
    nil
  end
end

run RedisRb.new
