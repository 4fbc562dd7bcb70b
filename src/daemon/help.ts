// What does `fdset storage-daemon --help` say?

export const storageDaemonHelp = `Usage: fdset storage-daemon [OPTION]...

Serves disk images to QMP and NBD clients. Options are carried out in the order they stand in, so a thing
has to be made before another one uses it.

  -h, --help              show this and exit
  -V, --version           show the version and exit
  --blockdev DEFINITION   add a block node: [driver=]DRIVER,node-name=NAME[,KEY=VALUE]... or a JSON object
                          drivers: file, host_device, raw, null-co
  --chardev DEFINITION    socket,id=ID,path=PATH|host=HOST,port=PORT|fd=N[,server=on[,wait=off]][,reconnect-ms=N]
                          stdio,id=ID[,signal=off]   null,id=ID   ringbuf,id=ID[,size=N]
  --monitor DEFINITION    [chardev=]ID[,pretty=on|off]: a QMP monitor on a character device
  --nbd-server DEFINITION addr.type=unix,addr.path=PATH | addr.type=inet,addr.host=HOST,addr.port=PORT |
                          addr.type=fd,addr.str=N   [,max-connections=N][,handshake-max-seconds=N]
  --export DEFINITION     [type=]nbd,id=ID,node-name=NODE[,name=NAME][,writable=on|off]
  --add-fd DEFINITION     fd=N,set=ID[,opaque=TEXT]: an inherited fd becomes a member of an fd set
  --pidfile PATH          write the process id when everything is set up, remove it at exit
  --compat VERSION        behave as qemu-10.0 (default) or qemu-7.2 with a running machine
  --sandbox MODE          off (default): may open paths. on: Landlock and seccomp, everything comes as an fd,
                          or no start. try: the protections that this system has
  --allow-uid UID         only this user, root and the user who started it may connect; may be repeated

A file is opened with driver=file,filename=/dev/fdset/N where fd set N holds it.
`;
