module github.com/quadrille-io/quadrille/tests

go 1.26.0

require (
	github.com/quadrille-io/quadrille/pkg v0.0.0
	github.com/quadrille-io/quadrille/proto v0.0.0
	github.com/quadrille-io/quadrille/services v0.0.0
)

require (
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/pgx/v5 v5.12.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	github.com/twmb/franz-go v1.22.2 // indirect
	github.com/twmb/franz-go/pkg/kadm v1.19.0 // indirect
	github.com/twmb/franz-go/pkg/kmsg v1.15.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace (
	github.com/quadrille-io/quadrille/pkg => ../pkg
	github.com/quadrille-io/quadrille/proto => ../proto
	github.com/quadrille-io/quadrille/services => ../services
)

exclude (
	github.com/Azure/go-ansiterm v0.0.0-20261006220739-8c912ac31dd4
	golang.org/x/exp v0.0.0-20261011100332-faecfb24eb49
)
