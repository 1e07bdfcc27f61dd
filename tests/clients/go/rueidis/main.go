// rueidis, with its client-side cache, which it asks for by CLIENT TRACKING.
package main

import (
	"context"
	"net"
	"respid/drivers/steps"

	"github.com/redis/rueidis"
)

var (
	background = context.Background()
	client     rueidis.Client
)

func open() (rueidis.Client, error) {
	return rueidis.NewClient(rueidis.ClientOption{
		InitAddress:  []string{steps.Address},
		Username:     steps.Username,
		Password:     steps.Password,
		TLSConfig:    steps.TLS(),
		AlwaysRESP2:  steps.Protocol == "2",
		DisableCache: steps.Protocol == "2", // it needs RESP3

		Dialer:           net.Dialer{Timeout: steps.Patience},
		ConnWriteTimeout: steps.Patience,
	})
}

func incr() (int64, error) {
	return client.Do(background, client.B().Incr().Key("orders").Build()).AsInt64()
}

func pipeline() (any, error) {
	commands := make(rueidis.Commands, 1_000)
	for i := range commands {
		commands[i] = client.B().Incr().Key("orders").Build()
	}
	ids := make([]int64, len(commands))
	for i, reply := range client.DoMulti(background, commands...) {
		id, err := reply.AsInt64()
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}

func transaction() (any, error) {
	commands := rueidis.Commands{client.B().Multi().Build()}
	for range 10 {
		commands = append(commands, client.B().Incr().Key("orders").Build())
	}
	commands = append(commands, client.B().Exec().Build())
	var ids []int64
	err := client.Dedicated(func(dedicated rueidis.DedicatedClient) error {
		var err error
		ids, err = dedicated.DoMulti(background, commands...)[11].AsIntSlice()
		return err
	})
	return ids, err
}

func drawHundred() (ids []int64, err error) {
	err = client.Dedicated(func(dedicated rueidis.DedicatedClient) error {
		ids, err = steps.Hundred(func() (int64, error) {
			return dedicated.Do(background, dedicated.B().Incr().Key("orders").Build()).AsInt64()
		})
		return err
	})
	return ids, err
}

func main() {
	steps.Run(map[string]steps.Step{
		"connect": func() (any, error) {
			if client != nil {
				client.Close()
				client = nil
			}
			opened, err := open()
			if err == nil {
				client = opened
			}
			return nil, err
		},
		"ping":        func() (any, error) { return client.Do(background, client.B().Ping().Build()).ToString() },
		"incr":        func() (any, error) { return incr() },
		"pipeline":    pipeline,
		"transaction": transaction,
		"block": func() (any, error) {
			return client.Do(background, client.B().Incrby().Key("orders").Increment(100).Build()).AsInt64()
		},
		"string": func() (any, error) {
			return client.Do(background, client.B().Arbitrary("ID.NEXT", "AS", "STRING").Build()).ToString()
		},
		"pool": func() (any, error) { return steps.Tenfold(drawHundred) },
		"idle": func() (any, error) { return steps.Idle(incr) },
		"close": func() (any, error) {
			client.Close()
			return nil, nil
		},
	})
}
