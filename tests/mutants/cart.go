package mutants

// cartMutants take out the rules by which a cart becomes an order.
var cartMutants = []Mutant{
	{
		Name: "a cart is ordered without its lock", Lines: []string{"49"}, Kind: "X",
		Rule:  "an order of the cart and what changes the cart take their turn, whatever their subjects",
		Edits: []Edit{{"services/order/internal/store/cart.go", "loadCarts(b, w, cartSelect+` FOR NO KEY UPDATE`, users)", "loadCarts(b, w, cartSelect, users)"}},
		Proof: test("./services/order/internal/store", "TestOrderCartAgainstPut"),
	},
	{
		Name: "the second click on a cart finds nothing to order", Lines: []string{"28"}, Kind: "X",
		Rule:  "an empty cart is looked at with the double-click guard in hand",
		Edits: []Edit{{"services/order/cart.go", "if o, again := doubleClick(w, c.Place, m); again {", "if o, again := doubleClick(w, c.Place, m); again && o.OrderID == c.OrderID {"}},
		Proof: test("./services/order/internal/store", "TestDoubleClickOnCart"),
	},
}
