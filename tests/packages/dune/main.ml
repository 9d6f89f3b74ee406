external elements : unit -> int = "elements"

let () = print_int (elements ())
