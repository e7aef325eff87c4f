package check

var tableTamperings = []tampering{
	{"stock-agrees", "given back", func(s *scene) string {
		o := s.is("COMPLETED")
		s.reservation(o.ID).State = "RETURNED"
		return o.ID
	}},
	{"stock-agrees", "kept", func(s *scene) string {
		o := s.is("CANCELLED", "StockIncreased")
		s.reservation(o.ID).State = "TAKEN"
		return o.ID
	}},
	{"stock-agrees", "other pieces", func(s *scene) string {
		o := s.is("COMPLETED")
		s.reservation(o.ID).Items[0].Quantity++
		return o.ID
	}},
	{"coupon-agrees", "still used", func(s *scene) string {
		o := s.is("CANCELLED", "CouponUseCancelled")
		s.coupon(o.ID).State = "USED"
		return o.ID
	}},
	{"coupon-agrees", "another discount", func(s *scene) string {
		o := s.is("COMPLETED", "CouponUsed")
		s.coupon(o.ID).Discount++
		return o.ID
	}},
	{"coupon-agrees", "given back", func(s *scene) string {
		o := s.is("COMPLETED", "CouponUsed")
		s.coupon(o.ID).State = "CANCELLED"
		return o.ID
	}},
	{"payment-agrees", "cancelled", func(s *scene) string {
		o := s.is("COMPLETED")
		s.paid(o.ID).State = "CANCELLED"
		return o.ID
	}},
	{"payment-agrees", "another amount", func(s *scene) string {
		o := s.is("COMPLETED")
		s.paid(o.ID).Amount++
		return o.ID
	}},
	{"payment-agrees", "the refund waits", func(s *scene) string {
		o := s.is("CANCELLED", "PaymentRefunded")
		s.paid(o.ID).Refund = "PENDING"
		return o.ID
	}},
	{"payment-agrees", "it does not add up", func(s *scene) string {
		o := s.is("COMPLETED")
		o.ItemsAmount++
		return o.ID
	}},
	{"shipping-agrees", "a parcel of a cancelled order", func(s *scene) string {
		o := s.is("CANCELLED", "ShipmentCancelled")
		s.Bookings[o.ID] = "booked"
		return o.ID
	}},
	{"shipping-agrees", "no parcel", func(s *scene) string {
		o := s.is("COMPLETED")
		s.Shipments = dropped(s.Shipments, func(x *Shipment) bool { return x.Order == o.ID })
		return o.ID
	}},
	{"shipping-agrees", "the order does not show it", func(s *scene) string {
		o := s.is("DELIVERED")
		o.Shipment = "DISPATCHED"
		return o.ID
	}},
	{"gateway-agrees", "another status", func(s *scene) string {
		o := s.is("COMPLETED")
		find(s, "its line", s.Lines, func(l *Line) bool { return l.Order == o.ID }).Status = "PENDING"
		return o.ID
	}},
	{"gateway-agrees", "no line", func(s *scene) string {
		o := s.is("COMPLETED")
		s.Lines = dropped(s.Lines, func(l *Line) bool { return l.Order == o.ID })
		return o.ID
	}},
	{"undo-agrees", "pending for ever", func(s *scene) string {
		o := s.is("CANCELLED", "StockIncreased")
		o.UndoStock = "PENDING"
		return o.ID
	}},
	{"undo-agrees", "another reason", func(s *scene) string {
		o := s.is("CANCELLED", "StockIncreased")
		o.Reason = "TIMED_OUT"
		return o.ID
	}},
	{"mails", "none", func(s *scene) string {
		o := s.is("COMPLETED")
		s.Mails = dropped(s.Mails, func(m *Mail) bool { return m.Order == o.ID })
		return o.ID
	}},
	{"mails", "for nothing", func(s *scene) string {
		o := s.is("COMPLETED")
		s.Mails = append(s.Mails, Mail{o.ID, "cancelled", "SENT"})
		return o.ID
	}},
	{"mails", "never sent", func(s *scene) string {
		o := s.is("COMPLETED")
		find(s, "its mail", s.Mails, func(m *Mail) bool { return m.Order == o.ID }).State = "WAITING"
		return o.ID
	}},
	{"mails", "twice", func(s *scene) string {
		o := s.is("COMPLETED")
		s.Mails = append(s.Mails, Mail{o.ID, "completed", "SENT"})
		return o.ID
	}},
	{"orphan", "a reservation", func(s *scene) string {
		s.Reservations = append(s.Reservations, Reservation{Order: "nobody's", State: "TAKEN"})
		return "nobody's"
	}},

	{"stock-sum", "a piece is missing", func(s *scene) string {
		s.Products[0].Quantity--
		return ""
	}},
	{"stock-sum", "sold and not there", func(s *scene) string {
		find(s, "a product", s.Products, func(p *Product) bool { return p.Quantity == 0 }).Quantity = -1
		return ""
	}},
	{"points-sum", "a balance", func(s *scene) string {
		for member := range s.Points {
			s.Points[member]++
		}
		return ""
	}},
	{"points-sum", "not given back", func(s *scene) string {
		l := find(s, "points given back", s.Ledger, func(l *Entry) bool { return l.Kind == "RETURNED" })
		s.Points[l.Member] -= l.Amount
		order := l.Order
		s.Ledger = dropped(s.Ledger, func(l *Entry) bool { return l.Order == order && l.Kind == "RETURNED" })
		return order
	}},
	{"points-sum", "taken twice", func(s *scene) string {
		l := *find(s, "points taken", s.Ledger, func(l *Entry) bool { return l.Kind == "TAKEN" })
		s.Ledger = append(s.Ledger, l)
		s.Points[l.Member] += l.Amount
		return l.Order
	}},
	{"coupon-sum", "one too many", func(s *scene) string {
		s.Policies[0].Issued++
		return ""
	}},
	{"coupon-sum", "beyond the limit", func(s *scene) string {
		p := find(s, "a policy with coupons", s.Policies, func(p *Policy) bool { return p.Issued > 0 })
		p.Limit = p.Issued - 1
		return ""
	}},
	{"coupon-sum", "used twice", func(s *scene) string {
		used := find(s, "used", s.Uses, func(u *Use) bool { return u.State == "USED" })
		o := s.is("COMPLETED", "StockDecreased")
		s.Uses = append(s.Uses, Use{Order: o.ID, State: "USED", Coupons: used.Coupons})
		return o.ID
	}},
	{"coupon-sum", "not spent", func(s *scene) string {
		spent := s.Spent[0]
		s.Spent = s.Spent[1:]
		return spent.Order
	}},
	{"charge", "twice", func(s *scene) string {
		c := s.Charges[0]
		s.Charges = append(s.Charges, Charge{ID: "another", Order: c.Order, Amount: c.Amount, Refunded: c.Amount})
		return c.Order
	}},
	{"charge", "not at all", func(s *scene) string {
		order := find(s, "a charge of an order that stands", s.Charges, func(c *Charge) bool { return s.order(c.Order).live() }).Order
		s.Charges = dropped(s.Charges, func(c *Charge) bool { return c.Order == order })
		return order
	}},
	{"charge", "not refunded", func(s *scene) string {
		c := find(s, "refunded", s.Charges, func(c *Charge) bool { return c.Refunded > 0 })
		c.Refunded = 0
		return c.Order
	}},
	{"charge", "refunded and stands", func(s *scene) string {
		c := find(s, "a charge of an order that stands", s.Charges, func(c *Charge) bool { return s.order(c.Order).live() })
		c.Refunded = c.Amount
		return c.Order
	}},
	{"charge", "another amount", func(s *scene) string {
		s.Charges[0].Amount++
		return s.Charges[0].Order
	}},
	{"charge", "nobody's", func(s *scene) string {
		s.Charges = append(s.Charges, Charge{ID: "another", Order: "nobody's", Amount: 1})
		return "nobody's"
	}},
}

func (s *scene) reservation(order string) *Reservation {
	return find(s, "a reservation", s.Reservations, func(r *Reservation) bool { return r.Order == order })
}

func (s *scene) coupon(order string) *Use {
	return find(s, "a use of coupons", s.Uses, func(u *Use) bool { return u.Order == order })
}

func (s *scene) paid(order string) *Payment {
	return find(s, "a payment", s.Payments, func(p *Payment) bool { return p.Order == order })
}
