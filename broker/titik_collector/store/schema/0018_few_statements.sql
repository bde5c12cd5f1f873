-- A pass over many routers asks by boot which runs it has, and which boots are not placed in time.

CREATE INDEX run_by_boot ON run (boot_id);

CREATE INDEX boot_time_bounded ON boot_time (router_id) WHERE quality = 'bounded';
