// Draws from pools of go-redis, as ../load.py describes.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

func number(variable string) int {
	value, err := strconv.Atoi(os.Getenv(variable))
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	logging.Disable() // each move of a connection is logged on standard error
	pools, connections := number("POOLS"), number("CONNECTIONS")
	period := time.Duration(number("PERIOD_MS")) * time.Millisecond
	var (
		isStopping atomic.Bool
		group      sync.WaitGroup
	)
	for pool := range pools {
		client := redis.NewClient(&redis.Options{Addr: os.Getenv("REDIS_HOST") + ":" + os.Getenv("REDIS_PORT")})
		offset := period * time.Duration(pool) / time.Duration(pools)
		for range connections {
			group.Go(func() {
				for {
					time.Sleep(period - time.Duration(time.Now().UnixNano()-int64(offset))%period)
					if isStopping.Load() {
						return
					}
					if id, err := client.Incr(context.Background(), "orders").Result(); err != nil {
						fmt.Printf("error %q\n", err.Error())
					} else {
						fmt.Println(id)
					}
				}
			})
		}
	}
	io.Copy(io.Discard, os.Stdin)
	isStopping.Store(true)
	group.Wait()
}
