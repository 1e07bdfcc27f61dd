// redigo, with its pool as its documentation has it.
package main

import (
	"respid/drivers/steps"
	"time"

	"github.com/gomodule/redigo/redis"
)

var pool *redis.Pool

func open() *redis.Pool {
	options := []redis.DialOption{redis.DialUsername(steps.Username), redis.DialPassword(steps.Password)}
	if config := steps.TLS(); config != nil {
		options = append(options, redis.DialUseTLS(true), redis.DialTLSConfig(config))
	}
	return &redis.Pool{
		MaxIdle: 10,
		Dial:    func() (redis.Conn, error) { return redis.Dial("tcp", steps.Address, options...) },
		TestOnBorrow: func(connection redis.Conn, _ time.Time) error {
			_, err := connection.Do("PING")
			return err
		},
	}
}

func incr() (int64, error) {
	connection := pool.Get()
	defer connection.Close()
	return redis.Int64(connection.Do("INCR", "orders"))
}

func do(name string, arguments ...any) (any, error) {
	connection := pool.Get()
	defer connection.Close()
	return connection.Do(name, arguments...)
}

func pipeline() (any, error) {
	connection := pool.Get()
	defer connection.Close()
	for range 1_000 {
		connection.Send("INCR", "orders")
	}
	return redis.Int64s(connection.Do(""))
}

func transaction() (any, error) {
	connection := pool.Get()
	defer connection.Close()
	connection.Send("MULTI")
	for range 10 {
		connection.Send("INCR", "orders")
	}
	return redis.Int64s(connection.Do("EXEC"))
}

func drawHundred() ([]int64, error) {
	connection := pool.Get()
	defer connection.Close()
	return steps.Hundred(func() (int64, error) { return redis.Int64(connection.Do("INCR", "orders")) })
}

func main() {
	steps.Run(map[string]steps.Step{
		"connect": func() (any, error) {
			if pool != nil {
				pool.Close()
			}
			pool = open()
			return nil, nil
		},
		"ping":        func() (any, error) { return redis.String(do("PING")) },
		"incr":        func() (any, error) { return incr() },
		"pipeline":    pipeline,
		"transaction": transaction,
		"block":       func() (any, error) { return redis.Int64(do("INCRBY", "orders", 100)) },
		"string":      func() (any, error) { return redis.String(do("ID.NEXT", "AS", "STRING")) },
		"pool":        func() (any, error) { return steps.Tenfold(drawHundred) },
		"idle":        func() (any, error) { return steps.Idle(incr) },
		"close":       func() (any, error) { return nil, pool.Close() },
	})
}
