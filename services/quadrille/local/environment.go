package local

import (
	"maps"
	"strconv"
	"strings"
)

// environment is what a service is told: the same variables as in a container.
func (s *System) environment(name string) map[string]string {
	env := map[string]string{
		"DATABASE_URL":        s.cfg.Databases[name],
		"KAFKA_BROKERS":       strings.Join(s.cfg.Brokers, ","),
		"KAFKA_PARTITIONS":    strconv.Itoa(int(s.cfg.Partitions)),
		"KAFKA_CREATE_TOPICS": "true",
		"TOPIC_PREFIX":        s.cfg.TopicPrefix,
		"DURABILITY":          "single",
		"LOG_FORMAT":          "text",
		"JWT_ISSUERS":         tokenIssuer,
		"JWT_AUDIENCES":       tokenAudience,
		"JWT_ALGORITHMS":      "EdDSA",
		"JWT_JWKS":            string(s.issuer.JWKS()),
		"OPERATORS_MAIL":      "operators@example.com",
		"OPERATORS_SMTP":      s.Simulators.SMTPAddr,
		// A load test from one machine is one address; see "Limits" in the API's description.
		"RATE_PER_MEMBER":  "5000",
		"RATE_PER_ADDRESS": "5000",
	}
	if name != "gateway" {
		// What comes through the gateway is counted for the client that it names.
		env["TRUSTED_PROXIES"] = "127.0.0.1"
	}
	maps.Copy(env, s.ownEnvironment(name))
	maps.Copy(env, s.cfg.Environment)
	maps.Copy(env, s.cfg.ServiceEnvironment[name])
	return env
}

// ownEnvironment is what only this service is told.
func (s *System) ownEnvironment(name string) map[string]string {
	switch name {
	case "gateway":
		env := map[string]string{
			"CORS_ORIGINS": "http://localhost:*,http://127.0.0.1:*", "RECONCILE_TOKEN_FILE": s.reconcilerTokenFile(),
		}
		for _, other := range Services() {
			if other != name {
				env[strings.ToUpper(other)+"_URL"] = s.URL(other)
			}
		}
		return env
	case "payment":
		return map[string]string{
			"PAYMENT_PROVIDER": "simulator", "PAYMENT_SIMULATOR_URL": s.Simulators.PaymentURL, "PAYMENT_WEBHOOK_SECRET": s.paymentSecret,
		}
	case "shipping":
		return map[string]string{"CARRIER_URL": s.Simulators.CarrierURL, "CARRIER_WEBHOOK_SECRET": s.carrierSecret}
	case "member":
		return map[string]string{
			"SESSION_KEY_FILE": s.tokenKeyFile(), "SESSION_ISSUER": tokenIssuer, "SESSION_AUDIENCE": tokenAudience,
			"MEMBERS_FILE": s.membersFile(), "SEED_PASSWORD": Password, "LOGIN_TRIES_PER_ADDRESS": "5000",
		}
	case "mailer":
		return map[string]string{"SMTP_ADDR": s.Simulators.SMTPAddr, "MAIL_FROM": "shop@example.com", "SHOP_TIME_ZONE": shopZone}
	case "dataplatform":
		return map[string]string{
			"DATAPLATFORM_URL": s.Simulators.DataplatformURL + "/facts", "DATAPLATFORM_SECRET": s.dataplatformSecret,
			"DATAPLATFORM_BATCH_AGE": "500ms", // who tries it out looks soon
		}
	case "webhook":
		return map[string]string{"WEBHOOK_LOOPBACK": "true"} // who tries it out receives on this machine
	default:
		return nil
	}
}
