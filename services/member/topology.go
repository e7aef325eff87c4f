package member

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
)

var changed = &memberv1.MemberChanged{}

// Topology is member's part in the choreography: it tells, and takes nothing.
var Topology = flow.Service("member",
	flow.OnCommand(OnRegister).Emits(changed),
	flow.OnCommand(OnImport).Emits(changed),
	flow.OnCommand(OnChange).Emits(changed),
	flow.OnCommand(OnErase).Erases(changed),
	flow.OnCommand(OnAddAddress).Emits(changed),
	flow.OnCommand(OnChangeAddress).Emits(changed),
	flow.OnCommand(OnRemoveAddress).Emits(changed),
)
