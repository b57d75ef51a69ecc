#pragma once
void console_open(void); void console_close(void);
