// go-redis.
package main

import (
	"context"
	"respid/drivers/steps"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

var (
	background = context.Background()
	client     *redis.Client
)

func open() *redis.Client {
	protocol, _ := strconv.Atoi(steps.Protocol)
	idle := time.Duration(0) // the default, 30 minutes
	if steps.TLS() != nil {
		idle = 5 * time.Second // over TLS it does not notice that an idle connection was closed
	}
	return redis.NewClient(&redis.Options{
		Addr:            steps.Address,
		Username:        steps.Username,
		Password:        steps.Password,
		Protocol:        protocol,
		TLSConfig:       steps.TLS(),
		ConnMaxIdleTime: idle,
		DialTimeout:     steps.Patience,
		ReadTimeout:     steps.Patience,
		WriteTimeout:    steps.Patience,
	})
}

func drawn(pipeline redis.Pipeliner, count int) (any, error) {
	replies := make([]*redis.IntCmd, count)
	for i := range replies {
		replies[i] = pipeline.Incr(background, "orders")
	}
	_, err := pipeline.Exec(background)
	ids := make([]int64, count)
	for i, reply := range replies {
		ids[i] = reply.Val()
	}
	return ids, err
}

func main() {
	logging.Disable() // each move of a connection is logged on standard error
	incr := func() (int64, error) { return client.Incr(background, "orders").Result() }
	steps.Run(map[string]steps.Step{
		"connect": func() (any, error) {
			if client != nil {
				client.Close()
			}
			client = open()
			return nil, nil
		},
		"ping":        func() (any, error) { return client.Ping(background).Result() },
		"incr":        func() (any, error) { return incr() },
		"pipeline":    func() (any, error) { return drawn(client.Pipeline(), steps.Count(1_000)) },
		"transaction": func() (any, error) { return drawn(client.TxPipeline(), steps.Count(10)) },
		"block":       func() (any, error) { return client.IncrBy(background, "orders", 100).Result() },
		"string":      func() (any, error) { return client.Do(background, "ID.NEXT", "AS", "STRING").Text() },
		"pool": func() (any, error) {
			return steps.Tenfold(func() ([]int64, error) { return steps.Hundred(incr) })
		},
		"load": func() (any, error) {
			one := func() ([]int64, error) { id, err := incr(); return []int64{id}, err }
			many := func() ([]int64, error) { ids, err := drawn(client.Pipeline(), 100); return ids.([]int64), err }
			whole := func() ([]int64, error) { ids, err := drawn(client.TxPipeline(), 10); return ids.([]int64), err }
			return steps.Load(one, one, one, one, one, one, one, one, many, whole)
		},
		"idle":  func() (any, error) { return steps.Idle(incr) },
		"close": func() (any, error) { return nil, client.Close() },
	})
}
