#pragma once
#include "conn/gate.h"
#include "core/error.h"
struct control_ops { void (*applied)(void); };
void control_set_ops(const struct control_ops *);
bool control_reload(struct error *); void control_pause_all(void); bool control_resume_all(struct error *); void control_shutdown(enum gate_shutdown);
