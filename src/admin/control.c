#include "config.h"
#include "admin/control.h"
#include "config/snapshot.h"
#include "pool/registry.h"
static const struct control_ops *ops;
void control_set_ops(const struct control_ops *o) { ops = o; }
bool control_reload(struct error *e) { struct snapshot *s = snapshot_load(snapshot_current()->path, e); if (!s) return false; snapshot_install(s); registry_apply(); ops->applied(); return true; }
void control_pause_all(void) {} bool control_resume_all(struct error *e) { (void)e; return true; } void control_shutdown(enum gate_shutdown h) { gate_shut(h); }
